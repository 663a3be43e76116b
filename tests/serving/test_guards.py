"""Who may ask, how much, and what is sent beside the answer."""

import logging
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from spacy_bert_ner.serving.app import make_app
from spacy_bert_ner.serving.processes import allowed_hosts, is_loopback
from spacy_bert_ner.serving.service_settings import KEY_VARIABLE, LOOPBACK, ServiceSettings, key_from_environment
from tests.serving.services import asking, make_ruler

KEY = "a-key"
BODY = {"text": "Jane"}


@pytest.fixture(scope="module")
def locked() -> Iterator[TestClient]:
    with asking({"rules": make_ruler()}, api_key=KEY, max_body_bytes=1000, max_texts=3) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/page/page.js", "/page/style.css"])
def test_the_page_and_health_are_open(locked: TestClient, path: str) -> None:
    assert locked.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/models", "/metrics", "/openapi.json", "/v1/entities", "/hf", "/analyze", "/page"]
)
@pytest.mark.parametrize(
    "given", [None, "Bearer wrong", "Bearer", "Basic a-key", "a-key", "Bearer a-key2", "Bearer \xe9"]
)
def test_all_else_wants_the_key(locked: TestClient, path: str, given: str | None) -> None:
    headers = {} if given is None else {"authorization": given.encode("latin1")}
    response = locked.request("GET", path, headers=headers)
    assert response.status_code == 401
    assert KEY_VARIABLE in response.json()["error"]
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert KEY not in response.text


def test_the_key_opens(locked: TestClient) -> None:
    for scheme in ("Bearer", "bearer"):
        headers = {"authorization": f"{scheme} {KEY}"}
        assert locked.get("/v1/models", headers=headers).status_code == 200
        assert locked.post("/v1/entities", json=BODY, headers=headers).status_code == 200


def test_the_key_is_compared_in_constant_time(locked: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("spacy_bert_ner.serving.guards.hmac.compare_digest", compare)
    locked.get("/v1/models", headers={"authorization": "Bearer x"})
    assert compared == [(b"x", KEY.encode())]


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert key_from_environment() is None
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert key_from_environment() == KEY
    assert KEY not in repr(ServiceSettings(api_key=KEY))
    for wrong in ("", "  ", " a", "ä", "a\nb"):
        monkeypatch.setenv(KEY_VARIABLE, wrong)
        with pytest.raises(ValueError, match="is set, but to no key"):
            key_from_environment()


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b'{"text": "' + b"a" * 990 + b'"}', 413, "larger than 1000 bytes (--max-body-bytes)"),
        (b'{"text": "' + b"a" * 100_000 + b'"}', 413, "larger than 1000 bytes"),
        (b'{"texts": ["a", "b", "c", "d"]}', 413, "Found 4 texts, expected at most 3 a request (--max-texts)"),
    ],
)
def test_too_much_is_refused(locked: TestClient, content: bytes, status: int, message: str) -> None:
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    response = locked.post("/v1/entities", content=content, headers=headers)
    assert (response.status_code, message in response.json()["error"]) == (status, True)

    def in_chunks() -> Iterator[bytes]:
        for i in range(0, len(content), 7000):
            yield content[i : i + 7000]

    # Without a content-length.
    assert locked.post("/v1/entities", content=in_chunks(), headers=headers).status_code == status


def test_compressed_bodies_are_refused_by_name(locked: TestClient) -> None:
    headers = {"authorization": f"Bearer {KEY}", "content-encoding": "gzip"}
    response = locked.post("/v1/entities", content=b"\x1f\x8b", headers=headers)
    assert response.status_code == 415
    assert "found 'gzip', expected none" in response.json()["error"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8000", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8000", 200),
        ("ner.example", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("127.0.0.1.evil.example", 421),
        ("[::1", 200),
        ("", 421),
    ],
)
def test_only_known_names_are_answered(host: str, status: int) -> None:
    """A page elsewhere may have its own name point to this machine (DNS rebinding)."""
    with asking({"rules": make_ruler()}, hosts=allowed_hosts("127.0.0.1", ["NER.example"])) as client:
        response = client.post("/v1/entities", json=BODY, headers={"host": host})
        assert response.status_code == status, response.text
        if status == 421:
            assert "--allowed-host" in response.json()["error"]
        assert client.get("/healthz", headers={"host": "10.1.2.3"}).status_code == 200


def test_which_names_those_are() -> None:
    assert allowed_hosts("127.0.0.1", []) == (*LOOPBACK, "127.0.0.1")
    assert allowed_hosts("::1", []) == (*LOOPBACK, "[::1]")
    assert allowed_hosts("0.0.0.0", []) == ()
    assert allowed_hosts("0.0.0.0", ["Ner.example"]) == ("ner.example", *LOOPBACK)
    assert [is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost", "0.0.0.0", "::", "ner")] == [
        *[True] * 4,
        *[False] * 3,
    ]


def test_every_answer_is_guarded() -> None:
    with asking({"rules": make_ruler()}) as client:
        for response in (client.get("/"), client.get("/nothing"), client.post("/v1/entities", json=BODY)):
            policy = response.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy
            assert response.headers["x-content-type-options"] == "nosniff"
        assert client.get("/").headers["cache-control"] == "no-cache"
        assert client.post("/v1/entities", json=BODY).headers["cache-control"] == "no-store"


def test_no_other_site_may_ask() -> None:
    """Neither by a preflight nor by a request that needs none."""
    with asking({"rules": make_ruler()}) as client:
        asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        preflight = client.options("/v1/entities", headers=asked)
        assert preflight.status_code == 405
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            headers = {"origin": "https://evil.example", "content-type": kind}
            response = client.post("/v1/entities", content=b'{"text": "Jane"}', headers=headers)
            assert response.status_code == 422
            assert not [name for name in response.headers if name.startswith("access-control")]


def test_the_log_holds_no_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with asking({"rules": make_ruler(faulty=True)}) as client:
        client.post("/v1/entities", json={"text": "Jane in secret"})
        client.post("/v1/entities", json={"secret": "secret"})
        client.get("/secret?secret=1")
        client.request("SECRET", "/v1/entities")
    ours = [record for record in caplog.records if record.name.startswith("spacy_bert_ner")]
    assert "POST /v1/entities 200, 1 texts" in ours[0].getMessage()
    assert "secret" not in " ".join(record.getMessage() for record in ours).lower()
    with asking({"rules": make_ruler()}, log_texts=True) as client:
        client.post("/v1/entities", json={"text": "Jane in secret"})
    assert '["Jane in secret"]' in caplog.text


def test_what_should_not_happen_is_said_without_texts(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app({"rules": make_ruler})

    async def broken(*args: object) -> None:
        raise RuntimeError("a secret text")

    next(iter(app.state.catalogue)).annotate = broken
    with TestClient(app, raise_server_exceptions=False) as client:
        response = client.post("/v1/entities", json=BODY)
    assert response.status_code == 500
    assert response.json() == {"error": "The service failed: its log says where. Please report it"}
    assert "RuntimeError" in caplog.text
    assert "secret text" not in caplog.text.replace('RuntimeError("a secret text")', "")
