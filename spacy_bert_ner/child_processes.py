"""Child processes, which must not outlive this one: their environment, and how they end."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import connection, parent_process


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that the block starts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def describe_exit(code: int | None) -> str:
    """RETURNS (str): A process's exit code in words."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"{name}, as where memory runs out" if name == "SIGKILL" else name
    return f"exit code {code}"


def end_with_parent() -> None:
    """End this process as soon as its parent ends, for whatever reason."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
