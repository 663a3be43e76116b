"""Confidence intervals by bootstrap over documents, and paired comparison of two pipelines.

Documents are drawn, not entities: the entities of a document share its topic and its errors.
Sources: Efron & Tibshirani 1993 (percentile bootstrap); Berg-Kirkpatrick et al. 2012 (bootstrap over test sets in NLP);
Yeh 2000 (approximate randomisation).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spacy_bert_ner.arrays import Floats, Ints

from .counts import rates

# Numbers in memory at once while drawing: documents x resamples.
BUDGET = 1 << 22


@dataclass(frozen=True)
class Resampling:
    """How to resample.

    resamples (int): How many samples to draw.
    seed (int): Seed of the random numbers.
    confidence (float): Share of the resampled figures that lies within an interval.
    """

    resamples: int = 2000
    seed: int = 0
    confidence: float = 0.95


@dataclass(frozen=True)
class Paired:
    """Two pipelines on the same documents, group by group.

    difference (Floats): (groups, 3): precision, recall and F1 of the first less those of the second.
    interval (Floats): (2, groups, 3): its lower and upper ends, by paired bootstrap.
    p_value (Floats): (groups, 3): the chance of so large a difference, either way, if it were random which pipeline
        gave which prediction, by approximate randomisation.
    """

    difference: Floats
    interval: Floats
    p_value: Floats


def intervals(counts: Ints, how: Resampling) -> Floats | None:
    """Compute intervals of precision, recall and F1.

    counts (Ints): (documents, groups, 3)
    how (Resampling): How to resample.
    RETURNS (Floats | None): (2, groups, 3), lower and upper ends, NaN where a figure is undefined; None for fewer than
        two documents.
    """
    if len(counts) < 2:
        return None
    return _quantiles(np.concatenate([rates(drawn) for drawn in _draw(counts, how)]), how.confidence)


def compare(first: Ints, second: Ints, how: Resampling) -> Paired | None:
    """Compare two pipelines on the same documents.

    first, second (Ints): (documents, groups, 3)
    how (Resampling): How to resample.
    RETURNS (Paired | None): The comparison; None for fewer than two documents.
    """
    if len(first) < 2:
        return None
    difference = rates(first.sum(axis=0)) - rates(second.sum(axis=0))
    both = np.concatenate([first, second], axis=1)
    drawn = [np.subtract(*np.split(rates(sums), 2, axis=1)) for sums in _draw(both, how)]
    # Swap the two pipelines' predictions in a random half of the documents: what one total gains, the other loses.
    total, other = first.sum(axis=0), second.sum(axis=0)
    swapped = np.concatenate([_weigh(coins, second - first) for coins in _coins(len(first), how)])
    shuffled = rates(total + swapped) - rates(other - swapped)
    # A tolerance, since equal differences come from different sums.
    extreme = (np.abs(shuffled) >= np.abs(difference) - 1e-12).sum(axis=0)
    return Paired(
        difference=difference,
        interval=_quantiles(np.concatenate(drawn), how.confidence),
        p_value=np.where(np.isnan(difference), np.nan, (extreme + 1) / (how.resamples + 1)),
    )


def _draw(counts: Ints, how: Resampling) -> Iterator[Floats]:
    """Draw documents with replacement, as often as there are documents. YIELDS: (some resamples, groups, 3) sums."""
    n = len(counts)
    rng = np.random.default_rng(how.seed)
    for size in _sizes(n, how.resamples):
        yield _weigh(rng.multinomial(n, np.full(n, 1 / n), size=size), counts)


def _coins(n: int, how: Resampling) -> Iterator[Ints]:
    rng = np.random.default_rng(how.seed)
    for size in _sizes(n, how.resamples):
        yield rng.integers(0, 2, size=(size, n))


def _sizes(n: int, resamples: int) -> Iterator[int]:
    step = max(1, BUDGET // n)
    yield from (min(step, resamples - done) for done in range(0, resamples, step))


def _weigh(weights: Ints, counts: Ints) -> Floats:
    """Sum counts, each document as often as its weight says. RETURNS: (resamples, groups, 3)"""
    # In floats, whose matrix product is the fast one; sums up to 2**53 are exact.
    flat = counts.reshape(len(counts), -1).astype(np.float64)
    return (weights.astype(np.float64) @ flat).reshape(len(weights), *counts.shape[1:])


def _quantiles(samples: Floats, confidence: float) -> Floats:
    """Cut off both tails of each figure's defined samples. RETURNS: (2, groups, 3)"""
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    ends = np.full((2, *samples.shape[1:]), np.nan)
    for place in np.ndindex(*samples.shape[1:]):
        values = samples[:, *place]
        values = values[~np.isnan(values)]
        if len(values):
            ends[:, *place] = np.quantile(values, tails)
    return ends
