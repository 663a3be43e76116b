"""How a forked or spawned process computes: by one thread of torch's, as the others stayed with its parent."""

import os

import torch


def be_a_worker() -> None:
    """Compute in one thread: worker processes are parallel already.

    A forked process has no threads but the one that forked, and the OpenMP runtime, which does not know, waits for the
    others for ever.
    """
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=be_a_worker)
