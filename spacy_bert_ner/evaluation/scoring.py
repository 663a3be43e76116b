"""How reliable the pipeline's scores are."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from spacy_bert_ner.arrays import Bools
from spacy_bert_ner.calibration import error_by_chance, reliability, summarise

from .document_records import Judged
from .typed_figures import Band, BinFigures, ScoreFigures, ScoreSummary

BANDS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
# Bins of the reliability diagram: few enough to be read, of equal mass.
RELIABILITY_BINS = 10


def describe_scores(records: Sequence[Judged]) -> ScoreFigures | None:
    """Measure how well scores tell right predictions from wrong ones.

    records (Sequence[Judged]): The documents.
    RETURNS (ScoreFigures | None): The figures; None where no prediction has a score.
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
    return ScoreFigures(
        summary=ScoreSummary(**summarise(scores, right), ece_by_chance=error_by_chance(scores)),
        without=len(judged) - len(scored),
        bands=[_band(low, high, right[band == i]) for i, (low, high) in enumerate(pairwise(BANDS))],
        reliability=[
            BinFigures(score=one.score, right=one.right, count=one.count)
            for one in reliability(scores, right, RELIABILITY_BINS)
        ],
    )


def _band(low: float, high: float, right: Bools) -> Band:
    return {
        "from": low,
        "to": high,
        "predicted": len(right),
        "right": float(right.mean()) if len(right) else None,
    }
