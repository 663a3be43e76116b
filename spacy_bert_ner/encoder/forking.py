"""What a forked or spawned process must put right before it computes: locks and threads that stayed with its parent."""

import os
from typing import Protocol
from weakref import WeakSet

import torch


class HoldsLock(Protocol):
    """An object with a lock."""

    def renew_lock(self) -> None:
        """Start with a free lock."""


# All of them: in a forked process the copy of a lock may be held for ever.
HOLDERS: WeakSet[HoldsLock] = WeakSet()


def be_a_worker() -> None:
    """Compute in one thread: worker processes are parallel already.

    A forked process has no threads but the one that forked, and the OpenMP runtime, which does not know, waits for the
    others for ever.
    """
    torch.set_num_threads(1)
    # Another thread of the parent may have held one of these at the moment of the fork.
    for holder in list(HOLDERS):
        holder.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=be_a_worker)
