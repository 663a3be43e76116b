"""Ctrl-C: training stops after the current step, with a checkpoint; a second Ctrl-C stops at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from wasabi import msg


class Interruption:
    """Whether the user has asked to stop.

    requested (bool): It.
    """

    def __init__(self) -> None:
        self.requested = False

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        msg.warn("Ctrl-C: stopping after this step, with a checkpoint; once more stops at once")

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Turn Ctrl-C into a request while the block runs; only the main thread gets signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._request)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
