"""Engine `local`: worker processes on this machine, each with its own pipe, so that one that dies harms no other.

Only `spawn` starts processes whose libraries have not started threads yet.
"""

import signal
from contextlib import suppress
from itertools import count
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple

from spacy_bert_ner.child_processes import describe_exit, end_with_parent, environment

from .scheduling import Event, Task
from .worker import WORKER_ENVIRONMENT, AnnotationWorker, WorkerSettings, describe_failure

# Seconds that a worker may take to exit once its pipe is closed.
JOIN_TIMEOUT = 10


class _Process(NamedTuple):
    """A worker's process and the parent's end of its pipe."""

    process: SpawnProcess
    connection: "Connection[Any, Any]"


class LocalPool:
    """Worker processes of this machine."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._context = get_context("spawn")
        self._numbers = count()
        self._workers: dict[int, _Process] = {}
        self._ready: set[int] = set()

    def start(self) -> int:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs, self._settings), daemon=True)
        with environment(WORKER_ENVIRONMENT):
            process.start()
        # The pipe closes with the worker only if no other process holds its end.
        theirs.close()
        number = next(self._numbers)
        self._workers[number] = _Process(process, ours)
        return number

    def submit(self, worker: int, task: Task) -> None:
        # `wait` detects a worker that has died in the meantime.
        with suppress(OSError):
            self._workers[worker].connection.send(task)

    def wait(self) -> list[Event]:
        by_connection = {each.connection: number for number, each in self._workers.items()}
        return [self._receive(by_connection[each]) for each in connection.wait(by_connection)]  # type: ignore[index]

    def stop(self, worker: int) -> None:
        process, pipe = self._workers.pop(worker)
        pipe.close()
        process.join(JOIN_TIMEOUT)
        process.kill()

    def close(self) -> None:
        for process, pipe in self._workers.values():
            process.kill()
            pipe.close()
        for process, _ in self._workers.values():
            process.join(JOIN_TIMEOUT)
        self._workers.clear()

    def _receive(self, worker: int) -> Event:
        process, pipe = self._workers[worker]
        try:
            kind, value = pipe.recv()
            return Event(worker, kind, value)
        except (EOFError, OSError):
            self.stop(worker)
            return Event(worker, "died", describe_exit(process.exitcode))


def serve(pipe: "Connection[Any, Any]", settings: WorkerSettings) -> None:
    """A worker process's main function.

    pipe (Connection): Receives tasks, sends events.
    """
    # Ctrl+C reaches all processes of a terminal; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    with suppress(EOFError, OSError):
        try:
            worker = AnnotationWorker(settings)
            pipe.send(("ready", worker.identity))
            while True:
                method, arguments = pipe.recv()
                pipe.send(("done", getattr(worker, method)(*arguments)))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            # The parent has nothing left to do, or has exited.
            raise
        except Exception as error:
            pipe.send(("failed", describe_failure(error)))
