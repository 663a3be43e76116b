"""By how many threads a model computes: alone by all cores, beside others by its share of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thinc.compat import torch

from spacy_bert_ner.processors import usable_cores

try:
    import fcntl
except ImportError:  # Windows, where one process serves.
    fcntl = None  # type: ignore[assignment]


class CoreShare:
    """Cores that models share, those of other processes too.

    A team of threads on cores that others use waits for its last member, so that it is slower than one thread.

    workers (int): Processes that serve.
    lock (Path | None): A file that all of them lock while they compute; None where there is but one.
    """

    def __init__(self, workers: int = 1, lock: Path | None = None) -> None:
        cores = usable_cores()
        # Who set it knows better.
        self._fixed = "OMP_NUM_THREADS" in os.environ or torch is None
        self.everything = cores
        # One that serves alone leaves a core to its connections, when there are many.
        self.share = max(1, cores // workers if workers > 1 else cores - 1)
        self._file = lock.open("ab") if lock is not None and fcntl is not None else None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    @contextmanager
    def computing(self, alone: bool) -> Iterator[None]:
        """Set the threads by which this thread computes, within.

        alone (bool): Whether nothing else waits in this process.
        """
        if self._fixed:
            yield
            return
        locked = self._lock(alone)
        torch.set_num_threads(self.everything if alone and locked else self.share)
        try:
            yield
        finally:
            if self._file is not None and locked:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _lock(self, alone: bool) -> bool:
        """RETURNS (bool): Whether nobody else computes, if alone; nobody by all cores, otherwise."""
        if self._file is None:
            return True
        try:
            fcntl.flock(self._file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
