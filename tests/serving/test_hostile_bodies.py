"""Bodies that nobody should send: an answer of 4xx with a message, never 500, and the service goes on."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.services import asking, make_ruler

PATHS = ("/v1/entities", "/hf", "/analyze")
GOOD: dict[str, dict[str, Any]] = {
    "/v1/entities": {"texts": ["Jane"], "labels": ["PER"], "min_confidence": 0.5, "offsets": "utf16", "model": "rules"},
    "/hf": {"inputs": "Jane", "parameters": {"aggregation_strategy": "simple", "ignore_labels": ["O"]}},
    "/analyze": {"text": "Jane", "language": "en", "entities": ["PERSON"], "score_threshold": 0.1},
}
DEEP = 100_000
# Bodies as bytes: none is a request, whatever the path.
BYTES = {
    "nothing": b"",
    "a space": b" ",
    "half an object": b'{"text": "a"',
    "two objects": b'{"text": "a"}{"text": "b"}',
    "no JSON": b"text=Jane",
    "XML": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    "bad UTF-8": b'{"text": "\xff\xfe", "inputs": "\xff", "language": "en"}',
    "half a character": b'{"text": "\xc3", "inputs": "\xc3", "language": "en"}',
    "surrogates as UTF-8": b'{"text": "\xed\xa0\x80", "inputs": "\xed\xa0\x80", "language": "en"}',
    "a surrogate": b'{"text": "\\ud800", "inputs": "\\ud800", "language": "en"}',
    "a surrogate in a list": b'{"texts": ["\\udfff"], "inputs": ["\\udfff"], "text": ["\\udfff"], "language": "en"}',
    "a surrogate as a name": b'{"\\ud800": 1}',
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a deep text": b'{"text":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "NaN": b"NaN",
    "a huge number": b"1" * 10_000,
    "a huge exponent": b'{"text": 1e999, "inputs": 1e999}',
    "zero bytes": b"\x00" * 100,
    "UTF-16 without a sense": b"\xff\xfe{",
    "a list of many": b"[" + b"1," * 100_000 + b"1]",
    "many names": json.dumps({f"field {i}": i for i in range(20_000)}).encode(),
    "a pickle": b"\x80\x04\x95\x10\x00\x00\x00",
    "gzip": b"\x1f\x8b\x08\x00" + b"\x00" * 50,
    "a long name": b'{"' + b"x" * 100_000 + b'": 1}',
    "a name to break the log": b'{"a\\r\\nX: y": 1}',
}
# Values that no field takes.
VALUES: dict[str, bytes] = {
    "null list": b"[null]",
    "number": b"7",
    "negative": b"-1",
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "huge": b"1e400",
    "digits": b"9" * 5000,
    "true": b"true",
    "object": b'{"a": {"b": [1]}}',
    "deep": b"[" * 5000 + b"]" * 5000,
    "lists of lists": b"[[[]]]",
    "surrogate": b'"\\udc00"',
    "surrogates": b'["\\ud83d"]',
}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with asking({"rules": make_ruler()}, max_words=5000, max_texts=100, max_body_bytes=500_000) as client:
        yield client


def check(client: TestClient, path: str, content: bytes, kind: str = "application/json") -> int:
    """Send a body. RETURNS: The status, which is not 500; what is refused comes with a message."""
    response = client.post(path, content=content, headers={"content-type": kind})
    assert response.status_code < 500, (content[:200], response.text)
    if response.status_code != 200:
        message = response.json()["error"]
        assert 10 < len(message) < 1500, message
    return response.status_code


def alive(client: TestClient) -> bool:
    response = client.post("/v1/entities", json={"text": "Jane"})
    return response.status_code == 200 and response.json()["results"][0]["entities"][0]["text"] == "Jane"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", BYTES)
def test_what_is_no_request_is_refused(client: TestClient, name: str, path: str) -> None:
    assert 400 <= check(client, path, BYTES[name]) < 500
    assert alive(client)


@pytest.mark.parametrize(
    ("path", "field"),
    [(path, field) for path, good in GOOD.items() for field in good],
    ids=lambda part: part.strip("/"),
)
@pytest.mark.parametrize("name", VALUES)
def test_what_is_no_value_is_refused(client: TestClient, path: str, field: str, name: str) -> None:
    if (field, name) == ("parameters", "object"):
        # What it holds has no effect, which the response names.
        return
    value = VALUES[name]
    rest = json.dumps({key: value for key, value in GOOD[path].items() if key != field})
    body = rest[:-1].encode() + b', "' + field.encode() + b'": ' + value + b"}"
    assert 400 <= check(client, path, body) < 500
    assert check(client, path, json.dumps(GOOD[path]).encode()) == 200


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/xml", "application/json; charset=utf-7", "\xff/\xfe", "a" * 5000]
)
def test_other_content_types(client: TestClient, kind: str) -> None:
    body = json.dumps(GOOD["/hf"]).encode()
    headers = {"content-type": kind.encode("latin1")}
    response = client.post("/hf", content=body, headers=headers)
    assert response.status_code in (200, 422)
    assert (response.status_code == 200) == kind.startswith("application/json")


def test_five_hundred_bodies_of_chance(client: TestClient) -> None:
    """Good bodies with bytes changed, cut out, doubled."""
    chance = random.Random(0)
    statuses: dict[int, int] = {}
    for _ in range(500):
        path = chance.choice(PATHS)
        body = bytearray(json.dumps(GOOD[path]).encode())
        for _ in range(chance.randint(1, 6)):
            start = chance.randrange(len(body))
            end = start + chance.randint(0, 4)
            body[start:end] = chance.choice(
                [bytes([chance.randrange(256)]), b"", bytes(body[start:end]) * 3, b'"', b"["]
            )
            body = body or bytearray(b"{")
        status = check(client, path, bytes(body))
        statuses[status] = statuses.get(status, 0) + 1
    assert set(statuses) <= {200, 400, 404, 422}
    assert statuses[422] > 100
    assert alive(client)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(), max_size=20)
    | st.sampled_from(["Jane", "en", "simple", "none", "utf16", "rules"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
FIELDS = sorted({field for good in GOOD.values() for field in good})


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PATHS), st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6))
def test_any_json_is_answered(client: TestClient, path: str, body: dict[str, Any]) -> None:
    assert check(client, path, json.dumps(body).encode()) in (200, 400, 404, 422)


@pytest.mark.parametrize(
    "path", ["/page/../settings.py", "/page/%2e%2e/settings.py", "/hf/" + "x" * 5000, "/%00", "/page/%00", "/%ff"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "BREW"])
def test_odd_paths_lead_nowhere(client: TestClient, path: str, method: str) -> None:
    response = client.request(method, path)
    assert 400 <= response.status_code < 500
    assert "ServiceSettings" not in response.text
