"""Locks that a forked process must not find held: another thread of its parent may have held one at that moment."""

import os
from typing import Protocol
from weakref import WeakSet


class HoldsLock(Protocol):
    """An object with a lock."""

    def renew_lock(self) -> None:
        """Start with a free lock."""


# All of them: in a forked process the copy of a lock may be held for ever.
HOLDERS: WeakSet[HoldsLock] = WeakSet()


def renew_locks() -> None:
    """Give every object that holds a lock a free one."""
    for holder in list(HOLDERS):
        holder.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=renew_locks)
