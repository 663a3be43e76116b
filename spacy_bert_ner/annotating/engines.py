"""The engines by name, and their default number of workers."""

from typing import Literal

from spacy_bert_ner.processors import usable_cores

from .annotation_error import AnnotationError
from .engine_local import LocalPool
from .engine_ray import RayPool
from .scheduling import Pool
from .worker import WorkerSettings

ENGINES = ("local", "ray")


def check_engine(engine: str, workers: int | Literal["auto"], ray_address: str | None) -> None:
    """RAISES: AnnotationError where there is no such engine, or an option has no effect with it."""
    if engine not in ENGINES:
        raise AnnotationError(f"--engine {engine}: expected one of {', '.join(ENGINES)}")
    if workers != "auto" and workers < 1:
        raise AnnotationError(f"--workers {workers}: expected a number above 0, or auto")
    if engine == "local" and ray_address is not None:
        raise AnnotationError(f"--ray-address {ray_address}: with --engine local, expected --engine ray")


def make_pool(
    settings: WorkerSettings, engine: str, workers: int | Literal["auto"], ray_address: str | None
) -> tuple[Pool, int]:
    """RETURNS (tuple[Pool, int]): The engine's pool, with no worker started yet, and how many to start."""
    if engine == "ray":
        ray_pool = RayPool(settings, None if workers == "auto" else workers, ray_address)
        return ray_pool, ray_pool.workers
    if workers == "auto":
        workers = 1 if settings.gpu_id >= 0 else usable_cores()
    return LocalPool(settings), workers
