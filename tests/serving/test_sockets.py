"""On a real socket: slow senders, bytes that are no HTTP, clients that go away, and the end of the service."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from spacy_bert_ner.serving.app import make_app
from spacy_bert_ner.serving.processes import PunctualProtocol
from spacy_bert_ner.serving.service_settings import ServiceSettings
from tests.serving.services import make_ruler, serving

PATIENCE = 0.4
BODY = b'{"text": "Jane"}'
HEAD = b"POST /v1/entities HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
GOOD = HEAD % len(BODY) + BODY


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    settings = ServiceSettings(read_timeout=PATIENCE, max_body_bytes=10_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PunctualProtocol, "timeout", PATIENCE)
        with serving(make_app({"rules": make_ruler}, settings), settings) as address:
            yield address


def connect(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def exchange(address: str, *parts: bytes, pause: float = 0.0) -> tuple[int, Any]:
    """Send bytes, with pauses between them. RETURNS: The status, 0 for none, and what the answer's JSON holds."""
    with connect(address) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
                head, end, body = received.partition(b"\r\n\r\n")
                if end and len(body) >= int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or b"0"):
                    break
    head, _, body = received.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head else 0
    return status, json.loads(body) if b"application/json" in head else body


def alive(address: str) -> bool:
    return exchange(address, GOOD)[0] == 200


SLOW = {
    "nothing at all": [b""],
    "half a request line": [b"POST /v1/ent"],
    "headers without an end": [HEAD[:-4] % 10],
    "a header a moment": [b"POST / HTTP/1.1\r\n", *[b"X-%d: 1\r\n" % i for i in range(8)]],
    "half a body": [GOOD[:-5]],
    "no body": [HEAD % 100],
    "a byte a moment": [HEAD % 100, *[b" "] * 8],
    "half a chunk": [HEAD.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked"), b"ff\r\n{"],
}


@pytest.mark.parametrize("name", SLOW)
def test_slow_senders_are_told_so(address: str, name: str) -> None:
    begun = time.perf_counter()
    status, answer = exchange(address, *SLOW[name], pause=0.08 if len(SLOW[name]) > 2 else 0)
    assert status == 408
    assert f"{PATIENCE:g} s" in answer["error"]
    assert time.perf_counter() - begun < 5 * PATIENCE + 1


def test_slow_senders_keep_nobody_waiting(address: str) -> None:
    slow = [connect(address) for _ in range(30)]
    for i, connection in enumerate(slow):
        connection.sendall((HEAD % 100)[: 20 + 5 * i])
    begun = time.perf_counter()
    assert alive(address)
    assert time.perf_counter() - begun < PATIENCE
    for connection in slow:
        connection.close()
    assert alive(address)


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /hf HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1_000_000,
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        HEAD % 12 + b'{"text": "\xff\xff"}'[:12],
        HEAD % 20 + b'{"text": "\xed\xa0\x80\xff\xc3"}...',
    ],
    ids=lambda content: repr(content[:30]),
)
def test_what_is_no_request_is_refused(address: str, content: bytes) -> None:
    status, _ = exchange(address, content)
    assert 400 <= status < 500
    assert alive(address)


def test_a_body_too_large_is_answered_once_it_is_sent(address: str) -> None:
    status, answer = exchange(address, HEAD % 100_000, b" " * 100_000)
    assert (status, "larger than 10000 bytes" in answer["error"]) == (413, True)
    # Far too large: nobody reads that.
    status, answer = exchange(address, HEAD % 10**12)
    assert (status, "larger than 10000 bytes" in answer["error"]) == (413, True)
    endless = HEAD.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked")
    status, _ = exchange(address, endless, *[b"2000\r\n" + b" " * 8192 + b"\r\n"] * 40)
    assert status in (0, 413)
    assert alive(address)


def test_several_requests_on_one_connection(address: str) -> None:
    with httpx.Client(base_url=address) as client:
        for _ in range(3):
            assert client.post("/v1/entities", content=BODY, headers={"content-type": "application/json"}).is_success
            time.sleep(0.6 * PATIENCE)
    # Sent without waiting for answers.
    with connect(address) as connection:
        connection.sendall(GOOD * 3)
        received = b""
        while received.count(b"HTTP/1.1 200") < 3:
            received += connection.recv(65536)


def test_no_answer_waits_for_an_acknowledgement(address: str) -> None:
    """Of a head that was sent before its body: 40 ms each, where the kernel may gather (Nagle's algorithm)."""
    seconds = []
    with connect(address) as connection:
        for _ in range(10):
            begun = time.perf_counter()
            connection.sendall(GOOD)
            received = b""
            while not received.endswith(b"}"):
                received += connection.recv(65536)
            seconds.append(time.perf_counter() - begun)
    assert min(seconds[1:]) < 0.03


def test_what_nobody_waits_for_is_not_read() -> None:
    app = make_app({"rules": lambda: make_ruler(slow=0.05)}, ServiceSettings(max_batch_words=1))
    with serving(app) as address:
        body = json.dumps({"texts": ["Jane"] * 100}).encode()
        with connect(address) as connection:
            connection.sendall(HEAD % len(body) + body)
            time.sleep(0.2)
        time.sleep(0.2)
        read = app.state.metrics.registry.get_sample_value("bert_ner_texts_total", {"model": "rules"})
        assert 0 < read < 20
        begun = time.perf_counter()
        assert alive(address)
        assert time.perf_counter() - begun < 1
        assert 'status="499"' in httpx.get(f"{address}/metrics").text


def test_the_end_waits_for_what_was_begun() -> None:
    app = make_app({"rules": lambda: make_ruler(slow=0.15)}, ServiceSettings(max_batch_words=1))
    answers: list[int] = []

    def ask(address: str) -> None:
        answers.append(httpx.post(f"{address}/v1/entities", json={"texts": ["Jane"] * 3}, timeout=20).status_code)

    threads = []
    with serving(app) as address:
        for _ in range(2):
            threads.append(threading.Thread(target=ask, args=(address,)))
            threads[-1].start()
        time.sleep(0.2)
        idle = connect(address)
    # The server has ended.
    for thread in threads:
        thread.join()
    assert answers == [200, 200]
    idle.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/healthz")


@pytest.mark.parametrize(
    "limits", [{"max_wait": 0.1}, {"max_requests": 10, "max_wait": 60.0}], ids=lambda part: str([*part])
)
def test_overload_is_refused_and_over_at_once(limits: dict[str, Any]) -> None:
    app = make_app({"rules": lambda: make_ruler(slow=0.01)}, ServiceSettings(max_batch_words=20, **limits))
    with serving(app) as address, httpx.Client(base_url=address, limits=httpx.Limits(max_connections=40)) as client:

        def ask(i: int) -> tuple[int, float, httpx.Headers]:
            begun = time.perf_counter()
            response = client.post("/v1/entities", json={"text": f"Jane {i} " * 5})
            return response.status_code, time.perf_counter() - begun, response.headers

        with ThreadPoolExecutor(40) as pool:
            results = list(pool.map(ask, range(200)))
        statuses = {status for status, _, _ in results}
        assert statuses == {200, 503}
        assert all(int(headers["retry-after"]) >= 1 for status, _, headers in results if status == 503)
        assert max(seconds for status, seconds, _ in results if status == 200) < 2
        time.sleep(0.3)
        assert ask(0)[0] == 200
