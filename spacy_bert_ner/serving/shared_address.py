"""The socket on which a process accepts connections."""

import socket
import sys
from multiprocessing.reduction import DupFd, register
from typing import Any

# Elsewhere sockets of one address do not share its connections.
IS_SHARED = sys.platform == "linux"


class Listener(socket.socket):
    """A bound socket, of which other processes get one of their own, bound to the same address.

    Processes that accept from one socket do not share its connections evenly: asyncio accepts whatever waits in one go,
    and who is awake gets all, for as long as the clients keep them. Linux itself deals them out among sockets of one
    address.
    """

    @classmethod
    def bound(cls, family: int, address: Any) -> "Listener":
        """Take an address. RETURNS (Listener): Bound to it, not listening yet.

        family (int): AF_INET or AF_INET6.
        address (Any): As `socket.bind` takes it.
        RAISES: OSError where somebody else has taken it, or as the system says it.
        """
        # First as one that does not share, since among those who share an address nobody is told of the others.
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            address = probe.getsockname()
        return cls._beside(family, address)

    def listen(self, backlog: int = socket.SOMAXCONN, /) -> None:
        """Listen. backlog (int): Connections that may wait."""
        # Only now, so that until then nobody else can take the address; connections that are not quite over when the
        # service ends do not keep it then.
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        super().listen(backlog)

    @classmethod
    def _beside(cls, family: int, address: Any) -> "Listener":
        """RETURNS: Bound to the address, which others like it may have already."""
        # With its protocol named: asyncio sends at once (TCP_NODELAY) only where it knows that it is TCP.
        made = cls(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if IS_SHARED:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            else:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
        except OSError:
            made.close()
            raise
        made.set_inheritable(True)
        return made


def _rebuild(duplicate: Any, family: int, kind: int, protocol: int) -> Listener:
    return Listener(family, kind, protocol, fileno=duplicate.detach())


def _reduce(listener: Listener) -> tuple[Any, ...]:
    if IS_SHARED:
        return Listener._beside, (listener.family, listener.getsockname())
    return _rebuild, (DupFd(listener.fileno()), listener.family, listener.type, listener.proto)


# As multiprocessing does for sockets of the class that it knows.
register(Listener, _reduce)
