"""Which worker annotates which shard, and what happens to a shard whose worker dies: the same for every engine.

annotate ──died──► annotate ──died──► probe text by text ──► annotate ──died──► annotate ──died──► annotate, each
                                      a text that kills two              without the             text by itself
                                      workers is quarantined             quarantined
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Literal, NamedTuple, Protocol

from .annotation_error import AnnotationError
from .records import AnnotatedShard, Shard
from .run_fingerprint import describe_differences

# Deaths of workers at one shard, or one text, before the next stage.
MAX_DEATHS = 2
# Consecutive workers that may die before they have loaded the model.
MAX_FAILED_STARTS = 5


class Task(NamedTuple):
    """A call of a method of worker.AnnotationWorker."""

    method: str
    arguments: tuple[Any, ...]


class Event(NamedTuple):
    """A worker's message, or its death.

    worker (int): Its number.
    kind (Literal): "ready" once its model is loaded, "done" with a task, "failed" where it raised an error, "died".
    value (Any): Its identity, the task's result, the error or how it died.
    """

    worker: int
    kind: Literal["ready", "done", "failed", "died"]
    value: Any


class Pool(Protocol):
    """Worker processes of an engine."""

    def start(self) -> int:
        """Start a worker. RETURNS (int): Its number; it accepts tasks after its event "ready"."""

    def submit(self, worker: int, task: Task) -> None:
        """Give an idle worker a task."""

    def wait(self) -> list[Event]:
        """Wait for events. RETURNS (list[Event]): At most one per worker."""

    def stop(self, worker: int) -> None:
        """End a worker that is no longer needed."""

    def close(self) -> None:
        """End all workers."""


class Job:
    """The state of a shard that is being annotated."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self._quarantined: dict[int, str] = {}
        self._deaths = 0
        self._one_by_one = False
        # Index of the text that is probed; None where the whole shard is annotated.
        self._probed: int | None = None
        self._was_probed = False

    def task(self) -> Task:
        """RETURNS (Task): The next task."""
        if self._probed is not None:
            return Task("probe", (self.shard.records[self._probed],))
        return Task("annotate", (self.shard.number, self.shard.records, self._quarantined, self._one_by_one))

    def advance(self, result: AnnotatedShard | None) -> AnnotatedShard | None:
        """Take a task's result. RETURNS (AnnotatedShard | None): The shard where it is finished."""
        if self._probed is not None:
            self._probe_next()
            return None
        return result

    def record_death(self, how: str) -> None:
        """Choose the next stage after a worker has died at the current task. how (str): How it died."""
        self._deaths += 1
        if self._deaths < MAX_DEATHS:
            return
        self._deaths = 0
        if self._probed is not None:
            self._quarantined[self._probed] = f"its worker died, twice ({how}): the text is quarantined"
            self._probe_next()
        elif not self._was_probed:
            self._probed, self._was_probed = 0, True
        elif not self._one_by_one:
            self._one_by_one = True
        else:
            first = self.shard.records[0].place
            raise AnnotationError(
                f"Workers die ({how}) at the shard that starts with {first}, though at none of its texts alone: give "
                "them more memory, or start over with --fresh and a smaller --shard-size or --batch-words"
            )

    def _probe_next(self) -> None:
        following = (self._probed or 0) + 1
        self._probed = following if following < len(self.shard.records) else None
        self._deaths = 0


class Scheduler:
    """Distributes shards over workers. A shard is read when a worker is free for it, so that memory stays bounded.

    workers (int): Maximum number of workers.
    identity (Mapping[str, Any]): What every worker must annotate with: see run_fingerprint.identify.
    """

    def __init__(self, pool: Pool, shards: Iterator[Shard], workers: int, identity: Mapping[str, Any]) -> None:
        self._pool, self._shards, self._identity = pool, shards, identity
        self._workers = workers
        self._jobs: dict[int, Job] = {}
        self._loading: set[int] = set()
        self._failed_starts = 0

    def run(self) -> Iterator[tuple[Shard, AnnotatedShard]]:
        """Annotate.

        YIELDS (tuple[Shard, AnnotatedShard]): Every shard once, in the order in which they finish.
        RAISES: AnnotationError where a worker cannot start, raises an error, or still dies at the last stage.
        """
        for shard in islice(self._shards, self._workers):
            self._start(Job(shard))
        while self._jobs:
            for event in self._pool.wait():
                finished = self._handle(event)
                if finished is not None:
                    yield finished

    def _handle(self, event: Event) -> tuple[Shard, AnnotatedShard] | None:
        worker, job = event.worker, self._jobs[event.worker]
        if event.kind == "failed":
            raise AnnotationError(f"A worker failed: {event.value}")
        if event.kind == "died":
            self._replace(worker, job, event.value)
        elif event.kind == "ready":
            check_identity(self._identity, event.value)
            self._loading.discard(worker)
            self._failed_starts = 0
            self._pool.submit(worker, job.task())
        else:
            finished = job.advance(event.value)
            if finished is not None:
                # Before the result is written, so that the worker is not idle meanwhile.
                self._give_next(worker)
                return job.shard, finished
            self._pool.submit(worker, job.task())
        return None

    def _start(self, job: Job) -> None:
        worker = self._pool.start()
        self._jobs[worker] = job
        self._loading.add(worker)

    def _give_next(self, worker: int) -> None:
        shard = next(self._shards, None)
        if shard is None:
            self._pool.stop(worker)
            del self._jobs[worker]
            return
        self._jobs[worker] = Job(shard)
        self._pool.submit(worker, self._jobs[worker].task())

    def _replace(self, worker: int, job: Job, how: str) -> None:
        if worker not in self._loading:
            job.record_death(how)
        else:
            self._loading.discard(worker)
            self._failed_starts += 1
            if self._failed_starts == MAX_FAILED_STARTS:
                raise AnnotationError(
                    f"{self._failed_starts} workers in a row died ({how}) before they had loaded the model: give them "
                    "more memory, or take fewer --workers"
                )
        del self._jobs[worker]
        self._start(job)


def check_identity(expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """RAISES: AnnotationError where a worker has another model or other packages."""
    if changes := describe_differences(expected, found):
        raise AnnotationError(
            f"A worker would annotate with something else: {'; '.join(changes)}. Expected the same model and packages "
            "on every machine, from the start to the end of the run"
        )
