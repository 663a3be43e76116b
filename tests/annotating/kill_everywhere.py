"""Kill a run at every point at which it touches the disk, let it go on, and compare what it leaves, in a new process.

Every attempt is a copy of this process, which ends itself by SIGKILL at the nth call of a function that writes, removes
or renames; n grows until an attempt ends by itself. Prints for each suffix of the output how many attempts were killed.

    python kill_everywhere.py MODEL TEXTS FOLDER SUFFIX...
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spacy_bert_ner.annotating.worker import AnnotationWorker, WorkerSettings
from tests.annotating import runs
from tests.annotating.runs import contents, run, use_inline_pools

POINTS = [(os, "fsync"), (os, "open"), (os, "replace"), (os, "unlink"), (os, "rename"), (os, "chmod")]


def count_down(calls: int) -> None:
    """End the process at the nth call of one of POINTS, half of the times after it was made."""
    left = [calls]

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and calls % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return function(*args, **kwargs)
            finally:
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        return wrapped

    for module, name in POINTS:
        setattr(module, name, wrap(getattr(module, name)))


def attempt(annotate: Callable[[], object], calls: int | None) -> int:
    """Annotate in a copy of this process. RETURNS (int): Its exit code."""
    child = os.fork()
    if not child:
        status = 1
        try:
            if calls is not None:
                count_down(calls)
            annotate()
            status = 0
        except BaseException:
            # The forked process is a copy of the caller, whose code must not continue in it.
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def cache_one(make: Callable[[WorkerSettings], AnnotationWorker]) -> Callable[[WorkerSettings], AnnotationWorker]:
    """Make one worker for all who ask."""
    made: list[AnnotationWorker] = []

    def get(settings: WorkerSettings) -> AnnotationWorker:
        if not made:
            made.append(make(settings))
        return made[0]

    return get


def kill_everywhere(model: Path, texts: Path, folder: Path, suffix: str) -> int:
    """RETURNS (int): How many attempts were killed, each of which ended with the same files when it was resumed."""
    # Loaded once, for all copies; anew for each suffix, as a worker writes one format.
    runs.AnnotationWorker = cache_one(AnnotationWorker)  # type: ignore[assignment]
    output = f"out{suffix}"
    for place in ("whole", "killed"):
        (folder / place).mkdir(parents=True)
    run(model, texts, folder / "whole" / output, shard_size=3)
    expected = contents(folder / "whole")
    killed = 0
    while True:
        os.chdir(folder / "killed")
        code = attempt(lambda: run(model, texts, Path(output), shard_size=3, workers=2), killed + 1)
        if code == 0:
            return killed
        assert code == -signal.SIGKILL, code
        killed += 1
        assert attempt(lambda: run(model, texts, Path(output), shard_size=3, workers=1), None) == 0
        assert contents(folder / "killed") == expected, f"killed at call {killed}"
        for path in sorted((folder / "killed").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


def main(model: Path, texts: Path, folder: Path, *suffixes: str) -> None:
    # No machine is killed: nothing need be waited for.
    os.fsync = lambda fd: None
    use_inline_pools(pytest.MonkeyPatch())
    for i, suffix in enumerate(suffixes):
        sys.stdout.write(f"{kill_everywhere(model, texts, folder / str(i), suffix)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
