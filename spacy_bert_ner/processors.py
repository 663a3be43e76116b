"""What this machine has to offer: cores to use, and memory to give back."""

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# Linux's CPU quota of a container: microseconds of computing time, and the period in which it may use them.
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """RETURNS (int): Cores that this process may use, within its container's quota."""
    get_affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    cores = len(get_affinity(0)) if get_affinity else os.cpu_count() or 1
    try:
        quota, period = QUOTA.read_text(encoding="ascii").split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return cores


def trim_memory() -> None:
    """Give memory that was freed back to the system, where the C library can: glibc keeps most of it."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
