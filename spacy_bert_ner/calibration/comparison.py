"""The effect of calibration: measures before and after, on documents that it was not fitted on."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from spacy_bert_ner.arrays import Array

from .entities import JudgedEntities
from .fitting import Calibration, cross_fit
from .measures import reliability_by_type, summarise


def describe_fit(
    entities: JudgedEntities, fit: Callable[[Array], Calibration], fitted: Calibration, labels: Sequence[str]
) -> dict[str, Any]:
    """Measure scores before and after a fit.

    entities (JudgedEntities): The entities that it was fitted on.
    fit (Callable[[Array], Calibration]): Entities' indices to what is fitted on them.
    fitted (Calibration): What was fitted on all.
    labels (Sequence[str]): The component's labels.
    RETURNS (dict[str, Any]): "temperature"; "offsets" by label; on annotated tokens "before", at temperature 1 without
        offsets; "after", each half of the documents scored by what was fitted on the other one; and "reliability" of
        both by type, in 15 bins of equal mass; the same three on raw text under "raw_text".
    """
    scores = {
        "before": entities.table.at(1.0),
        "after": cross_fit(entities.table, entities.label, entities.document, fit),
    }
    types = np.array(labels, dtype=object)[entities.label]

    def describe(chosen: Array) -> dict[str, Any]:
        own = {when: values[chosen] for when, values in scores.items()}
        right, names = entities.right[chosen], types[chosen].tolist()
        by_type = {when: reliability_by_type(values, right, names) for when, values in own.items()}
        return {
            **{when: summarise(values, right) for when, values in own.items()},
            "reliability": {
                when: {label: [vars(one) for one in bins] for label, bins in found.items()}
                for when, found in by_type.items()
            },
        }

    return {
        "temperature": fitted.temperature,
        "offsets": dict(zip(labels, fitted.offsets.tolist(), strict=True)),
        **describe(~entities.raw),
        "raw_text": describe(entities.raw),
    }
