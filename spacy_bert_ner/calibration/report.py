"""What calibration did: measures before and after, on documents that the temperature was not fitted on."""

from collections.abc import Callable, Sequence
from typing import Any

from .entities import JudgedEntities
from .fitting import Array, Floats, cross_fit
from .measures import reliability_by_type, summarise


def describe_fit(
    entities: JudgedEntities, fit: Callable[[Array], float | Floats], temperature: float, labels: Sequence[str]
) -> dict[str, Any]:
    """Measure scores before and after a fit.

    entities (JudgedEntities): The entities that it was fitted on.
    fit (Callable[[Array], float | Floats]): Entities' indices to the temperature fitted on them.
    temperature (float): The one fitted on all.
    labels (Sequence[str]): The component's labels.
    RETURNS (dict[str, Any]): "temperature"; "before", at temperature 1; "after", each half of the documents scored at
        the temperature fitted on the other one; and "reliability" of the latter by type, in 15 bins of equal mass.
    """
    after = cross_fit(entities.table, entities.document, fit)
    types = [labels[i] for i in entities.label]
    bins = reliability_by_type(after, entities.right, types)
    return {
        "temperature": temperature,
        "before": summarise(entities.table.at(1.0), entities.right),
        "after": summarise(after, entities.right),
        "reliability": {label: [vars(one) for one in own] for label, own in bins.items()},
    }
