"""Measures of scores against right and wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from spacy_bert_ner.arrays import Array, Floats

from .log_loss import loss_of_each

# Expected calibration error is reported with this many bins.
BINS = 15


@dataclass(frozen=True)
class Bin:
    """Entities of similar scores.

    score (float): Their mean score.
    right (float): The share of them that is right.
    count (float): How many they are, the same in every bin: an entity at the edge of two is shared between them.
    """

    score: float
    right: float
    count: float


def reliability(scores: Array, right: Array, bins: int = BINS) -> list[Bin]:
    """Sort entities by score into bins of equal mass.

    scores, right (Array): (entities,)
    bins (int): Number of bins; no more than there are entities are made.
    RETURNS (list[Bin]): From the lowest scores up, each of entities / bins entities.
    Source: Nguyen & O'Connor 2015 (equal mass).
    """
    scores, right = _sorted(scores, right)
    bins = min(bins, len(scores))
    if bins == 0:
        return []
    # Running sums, read off at the bins' edges, which may fall within an entity: every bin holds the same mass.
    edges = np.linspace(0, len(scores), bins + 1)
    places = np.arange(len(scores) + 1)
    sums = [np.interp(edges, places, np.append(0.0, np.cumsum(values))) for values in (scores, right)]
    mass = len(scores) / bins
    return [Bin(float(s / mass), float(r / mass), mass) for s, r in zip(*map(np.diff, sums), strict=True)]


def reliability_by_type(scores: Array, right: Array, types: Sequence[str], bins: int = BINS) -> dict[str, list[Bin]]:
    """Make reliability bins for each type of entity. types (Sequence[str]): (entities,). RETURNS: type to bins."""
    names, index = np.unique(np.asarray(types, dtype=object).astype(str), return_inverse=True)
    scores, right = np.asarray(scores), np.asarray(right)
    return {str(name): reliability(scores[index == i], right[index == i], bins) for i, name in enumerate(names)}


def calibration_error(scores: Array, right: Array, bins: int = BINS) -> float | None:
    """Compute the expected calibration error: the mean distance, over bins of equal mass, of score and share right.

    RETURNS (float | None): 0 to 1; None without entities. With fewer entities than bins, each is a bin of its own.
    Source: Naeini et al. 2015, with bins of equal mass.
    """
    made = reliability(scores, right, bins)
    return float(np.mean([abs(b.score - b.right) for b in made])) if made else None


def error_by_chance(
    scores: Array, share: float = 0.99, simulations: int = 1000, seed: int = 0, bins: int = BINS
) -> float | None:
    """Compute the calibration error that chance explains: the maximum for perfectly calibrated scores.

    The share right of a bin of few entities differs from its mean score by chance, so the error of a perfectly
    calibrated pipeline is not 0. Right and wrong are drawn from the scores.

    share (float): The share of simulations whose error is at most the result.
    simulations (int): How often to draw.
    seed (int): Of the draws.
    RETURNS (float | None): 0 to 1; None without entities.
    Source: Bröcker & Smith 2007 (consistency resampling).
    """
    values, counts = np.unique(np.clip(np.asarray(scores, dtype=np.float64), 0, 1), return_counts=True)
    if not len(values):
        return None
    entities = len(scores)
    edges, places = np.linspace(0, entities, min(bins, entities) + 1), np.append(0, np.cumsum(counts))

    def by_bin(sums: Array) -> Floats:
        # As in `reliability`: entities of equal scores share alike in what is right.
        return np.diff(np.interp(edges, places, np.append(0, np.cumsum(sums))))

    expected, rng = by_bin(values * counts), np.random.default_rng(seed)
    errors = [np.abs(by_bin(rng.binomial(counts, values)) - expected).sum() for _ in range(simulations)]
    return float(np.quantile(errors, share)) / entities


def brier_score(scores: Array, right: Array) -> float | None:
    """Compute the mean squared distance of score and right. RETURNS: 0 to 1; None without entities. Brier 1950."""
    return float(np.mean((np.asarray(scores) - np.asarray(right)) ** 2)) if len(scores) else None


def log_loss(scores: Array, right: Array) -> float | None:
    """Compute the mean negative log-likelihood of right and wrong. RETURNS: nats; None without entities."""
    return float(loss_of_each(scores, right).mean()) if len(scores) else None


def area_under_roc(scores: Array, right: Array) -> float | None:
    """Compute the chance that a right entity scores higher than a wrong one, a tie counting half.

    RETURNS (float | None): 0 to 1; None where all are right, all are wrong, or there is none.
    Source: Hanley & McNeil 1982.
    """
    right = np.asarray(right, dtype=bool)
    n_right, n_wrong = int(right.sum()), int((~right).sum())
    if n_right == 0 or n_wrong == 0:
        return None
    _, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(counts) - (counts - 1) / 2
    return float((middle_rank[index[right]].sum() - n_right * (n_right + 1) / 2) / (n_right * n_wrong))


def risk_coverage(scores: Array, right: Array) -> tuple[Floats, Floats]:
    """Trace what share of the entities kept is wrong, as the least confident are dropped.

    RETURNS (tuple[Floats, Floats]): Coverage k / entities for each number k kept, from 1 up, and the risk, the share of
        the k most confident that is wrong. (entities,) each
    Source: El-Yaniv & Wiener 2010.
    """
    _, right = _sorted(scores, right)
    kept = np.arange(1, len(right) + 1)
    return kept / max(len(right), 1), np.cumsum(1 - right[::-1]) / kept


def share_of_wrong(scores: Array, right: Array, dropped: float = 0.1) -> float | None:
    """Compute the share of all wrong entities that is among the least confident.

    dropped (float): How many of the entities to drop, as a share of all.
    RETURNS (float | None): 0 to 1; None where no entity is wrong.
    """
    _, right = _sorted(scores, right)
    wrong = np.append(0.0, np.cumsum(1 - right))
    if wrong[-1] == 0:
        return None
    return float(np.interp(dropped * len(right), np.arange(len(wrong)), wrong) / wrong[-1])


def precision_above(scores: Array, right: Array, threshold: float = 0.9) -> float | None:
    """Compute the share right of the entities scored at least the threshold. RETURNS: None if there is none."""
    chosen = np.asarray(scores) >= threshold
    return float(np.asarray(right)[chosen].mean()) if chosen.any() else None


# By call, as one of the keys is no name.
ScoreMeasures = TypedDict(
    "ScoreMeasures",
    {
        "entities": int,
        "precision": float | None,
        "mean_score": float | None,
        "ece": float | None,
        "brier": float | None,
        "log_loss": float | None,
        "auc": float | None,
        "wrong_in_least_confident_tenth": float | None,
        "precision_above_0.9": float | None,
    },
)


def summarise(scores: Array, right: Array) -> ScoreMeasures:
    """Take all measures that are one number. RETURNS (ScoreMeasures): As JSON has them; None where undefined."""
    return {
        "entities": len(scores),
        "precision": float(np.mean(right)) if len(scores) else None,
        "mean_score": float(np.mean(scores)) if len(scores) else None,
        "ece": calibration_error(scores, right),
        "brier": brier_score(scores, right),
        "log_loss": log_loss(scores, right),
        "auc": area_under_roc(scores, right),
        "wrong_in_least_confident_tenth": share_of_wrong(scores, right, 0.1),
        "precision_above_0.9": precision_above(scores, right, 0.9),
    }


def _sorted(scores: Array, right: Array) -> tuple[Floats, Floats]:
    """Sort by score; among equal scores, each gets their mean share right. RETURNS: scores, right. (entities,) each"""
    values, index, counts = np.unique(scores, return_inverse=True, return_counts=True)
    share = np.bincount(index, weights=right, minlength=len(values)) / np.maximum(counts, 1)
    return np.repeat(values, counts).astype(np.float64), np.repeat(share, counts)
