"""What the pipeline's own scores are worth."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from spacy_bert_ner.calibration import error_by_chance, reliability, summarise

from .document_records import Judged

BANDS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
# Bins of the reliability diagram: few enough to be read, of equal mass.
BINS = 10


def describe_scores(records: Sequence[Judged]) -> dict[str, Any] | None:
    """Measure how well scores tell right predictions from wrong ones.

    records (Sequence[Judged]): The documents.
    RETURNS (dict[str, Any] | None): "summary" (see calibration.summarise, and "ece_by_chance", see error_by_chance
        there), "without" (predictions that have no score), "bands" (share right by score), "reliability" (mean score,
        share right and number of entities by bin of equal mass). None where no prediction has a score.
    """
    gold = [set(record.gold) for record in records]
    judged = [(r.scores.get(e), e in g) for r, g in zip(records, gold, strict=True) for e in r.found]
    scored = [(score, right) for score, right in judged if score is not None]
    if not scored:
        return None
    scores = np.array([score for score, _ in scored])
    right = np.array([right for _, right in scored])
    # The last band holds its upper end.
    band = np.clip(np.digitize(scores, BANDS) - 1, 0, len(BANDS) - 2)
    return {
        "summary": {**summarise(scores, right), "ece_by_chance": error_by_chance(scores)},
        "without": len(judged) - len(scored),
        "bands": [
            {
                "from": low,
                "to": high,
                "predicted": int((band == i).sum()),
                "right": float(right[band == i].mean()) if (band == i).any() else None,
            }
            for i, (low, high) in enumerate(pairwise(BANDS))
        ],
        "reliability": [vars(bin_) for bin_ in reliability(scores, right, BINS)],
    }
