"""How many threads a model computes with: as many as cores where no other model computes, else its share of them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from thinc.compat import torch

from spacy_bert_ner.processors import usable_cores

try:
    import fcntl
except ImportError:  # Windows, where one process serves.
    fcntl = None  # type: ignore[assignment]

PREFIX = "computes-"


class CoreShare:
    """The cores that models share, also with those of other processes.

    A pool of threads whose cores are in use by others waits for its slowest thread, and is slower than one thread. A
    model holds a lock of its own file while it computes, which is released when the process ends, for whatever reason.

    workers (int): Processes that serve.
    folder (Path | None): Where the models that share cores have these files; None for a model that shares none.
    """

    def __init__(self, workers: int = 1, folder: Path | None = None) -> None:
        cores = usable_cores()
        # The user's setting takes precedence.
        self._fixed = "OMP_NUM_THREADS" in os.environ or torch is None
        self.everything = cores
        self.share = max(1, cores // workers if workers > 1 else cores - 1)
        self._folder = folder if fcntl is not None else None
        self._own: IO[bytes] | None = None
        self._open = ExitStack()
        if self._folder is not None:
            own = tempfile.NamedTemporaryFile(prefix=PREFIX, dir=self._folder)  # noqa: SIM115
            self._own = self._open.enter_context(own)
        self._others: dict[Path, IO[bytes]] = {}

    def close(self) -> None:
        """Close the files, and remove the own one."""
        self._open.close()

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Set the number of threads that this thread computes with, within the block."""
        if self._fixed:
            yield
            return
        if self._own is not None:
            # Before the others are checked, so that two that begin at once know of each other.
            fcntl.flock(self._own, fcntl.LOCK_SH)
        try:
            torch.set_num_threads(self.share if self._others_compute() else self.everything)
            yield
        finally:
            if self._own is not None:
                fcntl.flock(self._own, fcntl.LOCK_UN)

    def _others_compute(self) -> bool:
        if self._folder is None or self._own is None:
            return False
        return any(map(self._computes, set(self._folder.glob(f"{PREFIX}*")) - {Path(self._own.name)}))

    def _computes(self, path: Path) -> bool:
        """RETURNS (bool): Whether another model computes. path (Path): The file that it locks meanwhile."""
        # It may end at any moment, and its file with it.
        with suppress(FileNotFoundError):
            if path not in self._others:
                self._others[path] = self._open.enter_context(path.open("rb"))
            try:
                fcntl.flock(self._others[path], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            fcntl.flock(self._others[path], fcntl.LOCK_UN)
        return False
