"""What calibration has promised of a component, and the thresholds by which the component keeps it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np

from spacy_bert_ner.arrays import Floats

Measure = Literal["precision", "recall"]
# Tokens of the longest span that is added for the sake of recall.
LONGEST_ADDED = 12


@dataclass(frozen=True)
class Promise:
    """What `calibrate --precision` or `--recall` has promised.

    measure (str): "precision": the share of the entities that are set which are right. "recall": the share of the gold
        entities no token of which is left outside of the entities that are set; both counted among these labels alone.
    least (float): The share that was asked for.
    certainty (float): The probability with which everything that is promised holds, on texts like the dev set.
    by_type (bool): Whether the share is that of each label by itself; otherwise that of all of them together.
    promised (dict[str, float]): By label, the share promised: `least`, or what could be promised at most.
    thresholds (dict[str, float]): By label. Precision: the least confidence of an entity that is set. Recall: the least
        confidence of a span that is added to the entities of the best tags.
    longest (int): Tokens of the longest span that is added.
    """

    measure: Measure
    least: float
    certainty: float
    by_type: bool
    promised: dict[str, float]
    thresholds: dict[str, float]
    longest: int = LONGEST_ADDED

    @classmethod
    def from_state(cls, state: Mapping[str, Any] | None, labels: Sequence[str]) -> "Promise | None":
        """Read what `to_state` wrote.

        state (Mapping[str, Any] | None): That, as JSON has it; None for no promise.
        labels (Sequence[str]): The component's.
        RETURNS (Promise | None): The promise.
        RAISES: ValueError where it is none that could have been saved.
        """
        if state is None:
            return None
        names = [field.name for field in fields(cls)]
        if not isinstance(state, dict) or set(state) != set(names):
            raise ValueError(f"promise = {state!r}, expected null or {', '.join(names)}")
        if state["measure"] not in get_args(Measure) or not isinstance(state["by_type"], bool):
            raise ValueError(f"promise = {state!r}, expected one of precision or recall")
        if not isinstance(state["longest"], int) or state["longest"] < 1:
            raise ValueError(f"promise: longest = {state['longest']!r}, expected a whole number above 0")
        shares = [state["least"], state["certainty"]]
        for key in ("promised", "thresholds"):
            by_label = state[key]
            if not isinstance(by_label, dict) or not set(by_label) <= set(labels):
                raise ValueError(f"promise: {key} = {by_label!r}, expected numbers for some of {', '.join(labels)}")
            shares += by_label.values()
        if not all(map(_is_share, shares)) or set(state["promised"]) != set(state["thresholds"]):
            raise ValueError(f"promise = {state!r}, expected numbers from 0 to 1, for the same labels")
        return cls(**state)

    def to_state(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): The promise as JSON has it."""
        return asdict(self)

    def floors(self, labels: Sequence[str]) -> Floats:
        """RETURNS (Floats): The threshold of each label; for others that which changes nothing. (labels,)"""
        other = 0.0 if self.measure == "precision" else np.inf
        return np.array([self.thresholds.get(label, other) for label in labels], dtype=np.float64)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value <= 1
