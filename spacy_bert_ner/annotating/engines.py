"""The engines by name, and their default number of workers."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from .annotation_error import AnnotationError
from .engine_local import LocalPool
from .engine_ray import RayPool
from .scheduling import Pool
from .worker import WorkerSettings

ENGINES = ("local", "ray")
# Linux's CPU quota of a container: microseconds of computing time, and the period in which it may use them.
QUOTA = Path("/sys/fs/cgroup/cpu.max")


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


def usable_cores() -> int:
    """RETURNS (int): Cores that this process may use, within its container's quota."""
    get_affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    cores = len(get_affinity(0)) if get_affinity else os.cpu_count() or 1
    try:
        quota, period = QUOTA.read_text(encoding="ascii").split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return cores
