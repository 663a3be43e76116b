"""The processes that train together, started here or by `torchrun`; all of them end when one fails."""

import logging
import os
import signal
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, NamedTuple

import torch.distributed as dist

from spacy_bert_ner.child_processes import describe_exit, end_with_parent, environment
from spacy_bert_ner.processors import usable_cores
from spacy_bert_ner.training.running import train
from spacy_bert_ner.training.training_error import RunError

from .group import Group, LostError, joined

# Seconds that the others may take to end by themselves after one has failed.
GRACE = 10.0
# How a process fails; reasons that explain the failures of others come first.
# The message of a process before its outcome.
LISTENING = "listening"
REASONS = ("failed", "refused", "exited", "interrupted", "died", "lost")


class WorkerError(Exception):
    """An error in one of the processes; its traceback there is a note."""


class Outcome(NamedTuple):
    """How a process has ended.

    kind (str): "done", or one of REASONS.
    text (str): A description.
    details (str): A traceback.
    """

    kind: str
    text: str = ""
    details: str = ""


def train_as_started(config_path: Path, output: Path, *, use_gpu: int = -1, **options: Any) -> None:
    """Train in the processes that `torchrun` has started, of which this is one, or else in this one alone.

    config_path, output, options: See running.train.
    use_gpu (int): GPU, or -1 for the CPU; several processes on a machine use that one and those that follow.
    RAISES: RunError where the run cannot continue, LostError where another process has ended.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        train(config_path, output, use_gpu=use_gpu, **options)
        return
    group = Group(int(os.environ["RANK"]), size)
    gpu = gpu_of(int(os.environ["LOCAL_RANK"]), use_gpu)
    with silent_unless_first(group), joined(group, backend_for(gpu), init_method="env://"):
        train(config_path, output, group=group, use_gpu=gpu, **options)


def train_in_processes(count: int, config_path: Path, output: Path, **options: Any) -> None:
    """Train in several processes on this machine.

    count (int): Number of processes.
    config_path, output, options: See running.train; several processes use the GPU of `use_gpu` and those that follow.
    RAISES: RunError where the run cannot continue, LostError where a process has died, KeyboardInterrupt after Ctrl-C,
        WorkerError for any other error in a process.
    """
    if "WORLD_SIZE" in os.environ:
        raise RunError("torchrun has started the processes already: leave --processes out")
    threads = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(max(1, usable_cores() // count))}
    with tempfile.TemporaryDirectory(prefix="bert-ner-train-") as folder, ExitStack() as stack:
        workers: list[Worker] = []
        stack.enter_context(interruptions_go_to(workers))
        stack.enter_context(environment(threads))
        for rank in range(count):
            told = Path(folder) / "store", logging.getLogger("spacy").level, config_path, output, options
            workers.append(Worker(Group(rank, count), *told))
            stack.callback(workers[-1].end)
        judge(await_all(workers))


class Worker:
    """One of the processes, as its parent sees it.

    group (Group): Its number and how many there are.
    arguments: See `work`.
    """

    def __init__(self, group: Group, *arguments: Any) -> None:
        context = get_context("spawn")
        self.group = group
        self.pipe, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(theirs, group, *arguments))
        self._is_listening = self._is_asked = False
        # The process inherits this: it ignores Ctrl-C until it handles the signal itself.
        with interruptions_go_to(None):
            self.process.start()
        # The pipe closes with the process only if no other process holds its end.
        theirs.close()

    def interrupt(self) -> None:
        """Send the process the signal of Ctrl-C, as soon as it handles that."""
        self._is_asked = True
        if self._is_listening:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid or 0, signal.SIGINT)

    def receive(self) -> Outcome | None:
        """RETURNS (Outcome | None): How the process has ended, by its pipe; None while it runs."""
        try:
            outcome = Outcome(*self.pipe.recv())
        except (EOFError, OSError):
            self.process.join(GRACE)
            outcome = Outcome("died", describe_exit(self.process.exitcode))
        if outcome.kind == LISTENING:
            self._is_listening = True
            if self._is_asked:
                self.interrupt()
            return None
        if outcome.kind in ("failed", "died"):
            return outcome._replace(text=f"process {self.group.rank + 1} of {self.group.size}: {outcome.text}")
        return outcome

    def end(self) -> None:
        """End the process, if it has not ended."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def await_all(workers: list[Worker]) -> list[Outcome]:
    """Wait for processes; after one has failed, for a few seconds only.

    workers (list[Worker]): The processes.
    RETURNS (list[Outcome]): Outcomes of those that have ended by themselves.
    """
    waiting: dict[Any, Worker] = {worker.pipe: worker for worker in workers}
    outcomes: list[Outcome] = []
    deadline: float | None = None
    while waiting:
        ready = connection.wait(waiting, None if deadline is None else max(0.0, deadline - monotonic()))
        if not ready:
            break
        for pipe in ready:
            outcome = waiting[pipe].receive()
            if outcome is not None:
                outcomes.append(outcome)
                del waiting[pipe]
        if deadline is None and any(outcome.kind != "done" for outcome in outcomes):
            deadline = monotonic() + GRACE
    return outcomes


def judge(outcomes: list[Outcome]) -> None:
    """RAISES: The run's error, if it failed: see `train_in_processes`."""
    failures = [outcome for outcome in outcomes if outcome.kind != "done"]
    if not failures:
        return
    kind, text, details = min(failures, key=lambda outcome: REASONS.index(outcome.kind))
    if kind == "failed":
        error = WorkerError(text)
        error.add_note(details)
        raise error
    if kind == "refused":
        raise RunError(text)
    if kind == "exited":
        # Its process has said why.
        raise SystemExit(int(text))
    if kind == "interrupted":
        raise KeyboardInterrupt
    raise LostError(text)


@contextmanager
def interruptions_go_to(workers: list[Worker] | None) -> Iterator[None]:
    """Pass Ctrl-C on to processes, which agree on the step after which they stop; None ignores it."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        for worker in workers or ():
            worker.interrupt()

    # Only the main thread gets signals.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if workers is None else pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def work(
    pipe: "Connection[Any, Any]",
    group: Group,
    store: Path,
    level: int,
    config_path: Path,
    output: Path,
    options: dict[str, Any],
) -> None:
    """A process's main function.

    pipe (Connection): Receives its outcome.
    group (Group): Its number and how many there are.
    store (Path): A file by which they find each other.
    level (int): spaCy's log level.
    config_path, output, options: See `train_in_processes`.
    """
    # Away from the terminal's Ctrl-C, as the parent passes it on: twice would stop at once.
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    end_with_parent()
    logging.getLogger("spacy").setLevel(level)
    gpu = gpu_of(group.rank, options.pop("use_gpu", -1))

    def job() -> None:
        pipe.send((LISTENING,))
        meeting = dist.FileStore(str(store), group.size)
        with silent_unless_first(group), joined(group, backend_for(gpu), store=meeting):
            train(config_path, output, group=group, use_gpu=gpu, **options)

    pipe.send(tuple(outcome_of(job)))


def outcome_of(job: Callable[[], None]) -> Outcome:
    """RETURNS (Outcome): How a job has ended, also where it raised an error."""
    try:
        job()
    except LostError as error:
        return Outcome("lost", str(error))
    except RunError as error:
        return Outcome("refused", str(error))
    except SystemExit as error:
        return Outcome("exited", str(error.code if isinstance(error.code, int) else 1))
    except KeyboardInterrupt:
        return Outcome("interrupted")
    except Exception as error:
        return Outcome("failed", f"{type(error).__name__}: {error}", traceback.format_exc())
    return Outcome("done")


def gpu_of(number: int, use_gpu: int) -> int:
    """RETURNS (int): The GPU of a machine's process of that number; -1 for the CPU."""
    return use_gpu if use_gpu < 0 else use_gpu + number


def backend_for(use_gpu: int) -> str:
    """RETURNS (str): torch.distributed's backend, for tensors on the CPU alone or on GPUs as well."""
    return "gloo" if use_gpu < 0 else "cpu:gloo,cuda:nccl"


@contextmanager
def silent_unless_first(group: Group) -> Iterator[None]:
    """Say everything once only."""
    if group.is_first:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf8") as nowhere, redirect_stdout(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
