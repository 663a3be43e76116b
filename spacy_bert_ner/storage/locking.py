"""A lock on a folder: one process at a time writes there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"


@contextmanager
def locked(folder: Path, error: type[Exception]) -> Iterator[None]:
    """Lock a folder, which is made if there is none; on Windows nothing is locked.

    folder (Path): The folder.
    error (type[Exception]): What to raise.
    RAISES: `error` where another process holds the lock.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise error(
                f"{folder}: another process is writing there, expected one at a time: wait until it ends, or end it"
            ) from held
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
