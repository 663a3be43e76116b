"""Engine `ray`: actors on a Ray cluster, each with the pipeline loaded once; the shards are read and written here.

Actors, and not Ray Data: its tasks are repeated without end where a text ends its process, it does not say which text
that was, and its checkpoints (`ray.data.checkpoint`) know rows by an id column that texts need not have, and nothing of
the model that annotated them. The shards' journal covers both engines.
"""

import logging
from dataclasses import replace
from itertools import count
from typing import Any

from .annotation_error import AnnotationError
from .scheduling import Event, Task
from .worker import WORKER_ENVIRONMENT, AnnotationWorker, WorkerSettings


class Actor:
    """A worker on the cluster. Loading is a task like the others, so that its errors differ from a process's death."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._worker: AnnotationWorker | None = None

    def load(self) -> dict[str, Any]:
        """Load the pipeline. RETURNS (dict[str, Any]): The worker's identity."""
        self._worker = AnnotationWorker(self._settings)
        return self._worker.identity

    def work(self, method: str, arguments: tuple[Any, ...]) -> Any:
        """Do a task. RETURNS (Any): Its result."""
        return getattr(self._worker, method)(*arguments)


class RayPool:
    """Actors on a Ray cluster.

    settings (WorkerSettings): With a GPU, each actor has one to itself.
    workers (int | None): Number of actors; None for one per GPU or core of the cluster.
    address (str | None): The cluster's; None to start one on this machine for this run.
    """

    def __init__(self, settings: WorkerSettings, workers: int | None, address: str | None) -> None:
        self._ray = import_ray()
        self._actors: dict[int, Any] = {}
        self._owned = not self._ray.is_initialized()
        if self._owned:
            options = {} if address else {"include_dashboard": False, "num_cpus": workers}
            self._ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
        resources = self._ray.cluster_resources()
        self.workers = workers or max(1, int(resources.get("GPU" if settings.gpu_id >= 0 else "CPU", 1)))
        # An actor that asks for more than the cluster has waits forever.
        if settings.gpu_id >= 0 and not resources.get("GPU"):
            self.close()
            raise AnnotationError(f"--gpu-id {settings.gpu_id}: the Ray cluster has no GPU, expected one per worker")
        needs = {"num_gpus": 1} if settings.gpu_id >= 0 else {}
        # Ray shows each actor its own GPU alone.
        self._settings = replace(settings, gpu_id=min(settings.gpu_id, 0))
        self._class = self._ray.remote(Actor).options(
            num_cpus=min(1.0, resources.get("CPU", 1.0) / self.workers),
            max_restarts=0,
            runtime_env={"env_vars": WORKER_ENVIRONMENT},
            **needs,
        )
        self._numbers = count()
        # Each pending result's worker, and whether it is loading.
        self._pending: dict[Any, tuple[int, bool]] = {}

    def start(self) -> int:
        number = next(self._numbers)
        self._actors[number] = self._class.remote(self._settings)
        self._pending[self._actors[number].load.remote()] = number, True
        return number

    def submit(self, worker: int, task: Task) -> None:
        self._pending[self._actors[worker].work.remote(task.method, task.arguments)] = worker, False

    def wait(self) -> list[Event]:
        (reference, *_), _ = self._ray.wait(list(self._pending), num_returns=1)
        worker, loading = self._pending.pop(reference)
        try:
            return [Event(worker, "ready" if loading else "done", self._ray.get(reference))]
        except self._ray.exceptions.RayTaskError as error:
            return [Event(worker, "failed", f"{type(error.cause).__name__}: {error.cause}")]
        except self._ray.exceptions.RayActorError as error:
            del self._actors[worker]
            return [Event(worker, "died", str(error).splitlines()[0])]

    def stop(self, worker: int) -> None:
        self._ray.kill(self._actors.pop(worker))

    def close(self) -> None:
        for worker in list(self._actors):
            self.stop(worker)
        if self._owned:
            self._ray.shutdown()


def import_ray() -> Any:
    """RETURNS (Any): The module. RAISES: AnnotationError that says what to install, where it is missing."""
    try:
        import ray
    except ImportError as error:
        raise AnnotationError(
            "The engine ray needs Ray, which is not installed: pip install 'spacy-bert-ner[ray]'"
        ) from error
    return ray
