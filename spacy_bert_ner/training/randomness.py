"""The states of the random number generators that training draws from, as plain lists: they go into JSON."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from thinc.compat import cupy, has_cupy_gpu

States = dict[str, Any]


def drawn_states() -> States:
    """RETURNS (States): The states of Python's, NumPy's and torch's generators on the CPU; cheap, for every step."""
    version, internal, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state()
    return {
        "python": [version, list(internal), gauss],
        "numpy": [kind, np.asarray(keys).tolist(), *rest],
        "torch": torch.get_rng_state().tolist(),
    }


def all_states() -> States:
    """RETURNS (States): The same, and those of torch's generators on the GPUs."""
    states = drawn_states()
    if torch.cuda.is_available():
        states["cuda"] = [state.tolist() for state in torch.cuda.get_rng_state_all()]
    return states


def put_states(states: States) -> None:
    """Restore generators' states; generators that are not named are left unchanged."""
    if "python" in states:
        version, internal, gauss = states["python"]
        random.setstate((version, tuple(internal), gauss))
    if "numpy" in states:
        kind, keys, *rest = states["numpy"]
        np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    if "torch" in states:
        torch.set_rng_state(torch.tensor(states["torch"], dtype=torch.uint8))
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([torch.tensor(state, dtype=torch.uint8) for state in states["cuda"]])


def reseed_cupy(seed: int) -> None:
    """Seed CuPy's generator, whose state cannot be read: after a resumption it must not repeat its numbers."""
    if has_cupy_gpu:
        cupy.random.seed(seed)


@contextmanager
def drawn_apart(process: int) -> Iterator[None]:
    """Let each of several processes draw its own numbers in the block, though their generators have the same states.

    They have the same states afterwards as well: whatever is drawn then, such as the next batch, is the same in all.

    process (int): This process's number.
    """
    seed = int(np.random.SeedSequence([np.random.randint(2**31), process]).generate_state(1)[0])
    before = drawn_states()
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    reseed_cupy(seed)
    try:
        yield
    finally:
        put_states(before)
