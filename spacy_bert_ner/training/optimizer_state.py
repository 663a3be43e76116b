"""The state of an optimizer, ours or one of thinc's, under names that are the same in every process."""

from collections.abc import Mapping
from typing import Any, cast

from thinc.api import Optimizer, get_current_ops

from .optimizer import AdamW, Key
from .parameters import Tensors, as_tensor
from .training_error import RunError

# The state of each parameter in thinc's optimizers.
ARRAYS = ("mom1", "mom2", "averages")


def optimizer_tensors(optimizer: Optimizer, names: Mapping[Key, str]) -> Tensors:
    """Return an optimizer's state of each parameter.

    optimizer (Optimizer): The optimizer, after a step.
    names (Mapping[Key, str]): The parameters' names.
    RETURNS (Tensors): By "FIELD/NAME".
    """
    if isinstance(optimizer, AdamW):
        return optimizer.state_dict(names)
    return {
        f"{field}/{names[key]}": as_tensor(array)
        for field in ARRAYS
        for key, array in (getattr(optimizer, field) or {}).items()
    }


def optimizer_state(optimizer: Optimizer, names: Mapping[Key, str]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The state beside the tensors, for JSON."""
    return {
        "scheduled": {name: float(getattr(optimizer, name)) for name in optimizer.schedules},
        "updates": {names[key]: count for key, count in optimizer.nr_update.items()},
        "radam": optimizer._radam_buffer,
    }


def load_optimizer(
    optimizer: Optimizer, tensors: Tensors, state: dict[str, Any], names: Mapping[Key, str], steps: int
) -> None:
    """Restore an optimizer.

    optimizer (Optimizer): A new one of the same config.
    tensors (Tensors): What `optimizer_tensors` gave.
    state (dict[str, Any]): What `optimizer_state` gave.
    names (Mapping[Key, str]): The parameters' names, by this process's keys.
    steps (int): Finished steps: the schedules are advanced by as many.
    RAISES: RunError where the schedules then give other values than when the state was saved.
    """
    for _ in range(steps):
        Optimizer.step_schedules(optimizer)
    found = {name: float(getattr(optimizer, name)) for name in optimizer.schedules}
    if found != state["scheduled"]:
        raise RunError(
            f"The optimizer's schedules give {found} after {steps} steps, but gave {state['scheduled']} when its "
            "state was saved: resume with the config that the training was begun with, or start over with --fresh"
        )
    if isinstance(optimizer, AdamW):
        optimizer.load_state_dict(tensors, names)
        return
    keys = {name: key for key, name in names.items()}
    ops = get_current_ops()
    for name, tensor in tensors.items():
        field, _, parameter = name.partition("/")
        array: Any = ops.asarray(cast(Any, tensor.numpy()))
        getattr(optimizer, field)[keys[parameter]] = array.copy()
    optimizer.nr_update.update({keys[name]: count for name, count in state["updates"].items()})
    optimizer._radam_buffer = [list(entry) for entry in state["radam"]]
