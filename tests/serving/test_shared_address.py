"""The socket that processes share an address by."""

import select
import socket
import sys
from collections import Counter
from contextlib import ExitStack
from multiprocessing.reduction import ForkingPickler

import pytest

from spacy_bert_ner.serving.shared_address import Listener

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes share one socket")
ANY = ("127.0.0.1", 0)


def sent(listener: Listener) -> Listener:
    """RETURNS: What another process gets of it."""
    return ForkingPickler.loads(bytes(ForkingPickler.dumps(listener)))


def test_connections_are_dealt_out_whoever_is_awake() -> None:
    with ExitStack() as stack:
        reserved = stack.enter_context(Listener.bound(socket.AF_INET, ANY))
        workers = [stack.enter_context(sent(reserved)) for _ in range(2)]
        assert {worker.getsockname() for worker in workers} == {reserved.getsockname()}
        for worker in workers:
            worker.listen(100)
        for _ in range(64):
            stack.enter_context(socket.create_connection(reserved.getsockname(), timeout=10))
        found: Counter[int] = Counter()
        # Only one of them asks, and gets its own alone.
        while select.select([workers[0]], [], [], 0)[0]:
            stack.enter_context(workers[0].accept()[0])
            found[0] += 1
        assert 10 < found[0] < 54
        # Whose socket is closed gets none.
        workers[0].close()
        for _ in range(8):
            stack.enter_context(socket.create_connection(reserved.getsockname(), timeout=10))


def test_nobody_else_takes_the_address() -> None:
    with Listener.bound(socket.AF_INET, ANY) as reserved, sent(reserved) as worker:
        for _ in range(2):
            with pytest.raises(OSError, match="in use"):
                Listener.bound(socket.AF_INET, reserved.getsockname())
            worker.listen(10)


def test_the_address_is_free_at_once_when_the_service_ends() -> None:
    with Listener.bound(socket.AF_INET, ANY) as reserved, sent(reserved) as worker:
        address = reserved.getsockname()
        worker.listen(10)
        with socket.create_connection(address, timeout=10) as client:
            accepted, _ = worker.accept()
            # Who closes first keeps the connection for a minute.
            accepted.close()
            assert client.recv(1) == b""
    with Listener.bound(socket.AF_INET, address) as again:
        again.listen(10)
