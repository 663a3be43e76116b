"""What calibration did: measures before and after, on documents that it was not fitted on."""

from collections.abc import Callable, Sequence
from typing import Any

from .entities import JudgedEntities
from .fitting import Array, Calibration, cross_fit
from .measures import reliability_by_type, summarise


def describe_fit(
    entities: JudgedEntities, fit: Callable[[Array], Calibration], fitted: Calibration, labels: Sequence[str]
) -> dict[str, Any]:
    """Measure scores before and after a fit.

    entities (JudgedEntities): The entities that it was fitted on.
    fit (Callable[[Array], Calibration]): Entities' indices to what is fitted on them.
    fitted (Calibration): What was fitted on all.
    labels (Sequence[str]): The component's labels.
    RETURNS (dict[str, Any]): "temperature"; "offsets" by label; "before", at temperature 1 without offsets; "after",
        each half of the documents scored by what was fitted on the other one; and "reliability" of both by type, in 15
        bins of equal mass.
    """
    scores = {
        "before": entities.table.at(1.0),
        "after": cross_fit(entities.table, entities.label, entities.document, fit),
    }
    types = [labels[i] for i in entities.label]
    return {
        "temperature": fitted.temperature,
        "offsets": dict(zip(labels, fitted.offsets.tolist(), strict=True)),
        **{when: summarise(own, entities.right) for when, own in scores.items()},
        "reliability": {
            when: {
                label: [vars(one) for one in bins]
                for label, bins in reliability_by_type(own, entities.right, types).items()
            }
            for when, own in scores.items()
        },
    }
