"""How many updates a config plans: too few train nothing, however good the data."""

import math
from typing import Any

from .annotation import Finding

# Below, what is newly initialised stays near to where it began.
FEW_UPDATES = 100


def longest_run(training: dict[str, Any], epoch: int) -> int | None:
    """Count the steps of the longest possible run.

    training (dict[str, Any]): The resolved [training] block.
    epoch (int): Steps in one epoch.
    RETURNS (int | None): Steps; None where only patience ends it.
    """
    by_epochs = epoch * training["max_epochs"] if training["max_epochs"] > 0 else math.inf
    steps = min(training["max_steps"] or math.inf, by_epochs)
    return None if math.isinf(steps) else int(steps)


def describe_plan(training: dict[str, Any], epoch: int) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What is planned, for JSON: see `longest_run`; intervals and patience are in steps."""
    return {
        "steps": longest_run(training, epoch),
        "steps_per_epoch": epoch,
        "evaluation_interval": training["eval_frequency"],
        "patience": training["patience"] or None,
    }


def inspect_plan(plan: dict[str, Any]) -> list[Finding]:
    """Check that there are enough updates. plan: See `describe_plan`. RETURNS (list[Finding]): The problem."""
    steps = plan["steps"]
    if steps is None or steps >= FEW_UPDATES:
        return []
    message = (
        f"{steps} updates are planned, fewer than {FEW_UPDATES}: by so few, hardly anything is learnt. Set max_steps, "
        'patience and the steps of [training.optimizer.learn_rate] to "auto", or write the config anew by `init-config`'
    )
    return [Finding("warning", "few_updates", message)]
