"""Calibrations fitted on a development set."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from spacy_bert_ner.arrays import Array, Bools, Floats

from .log_loss import loss_of_each, shift_log_odds

# 0.5 to 4.95 in steps of 5 %, finer than the error with which any development set determines a temperature.
TEMPERATURES: Floats = 0.5 * 1.05 ** np.arange(48, dtype=np.float64)
# The largest offset, in log-odds.
_FURTHEST = 10.0
# Enough for bisection alone; Newton takes about five.
_STEPS = 40


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """The scores of the same entities at many temperatures: fits look scores up instead of decoding again.

    temperatures (Floats): Ascending. (temperatures,)
    scores (Floats): (temperatures, entities)
    """

    temperatures: Floats
    scores: Floats

    @classmethod
    def of(cls, score_at: Callable[[float], Array], temperatures: Array = TEMPERATURES) -> "ScoreTable":
        """Tabulate scores.

        score_at (Callable[[float], Array]): Scores of all entities at a temperature. (entities,)
        temperatures (Array): Ascending, above 0. (temperatures,)
        """
        rows = [np.asarray(score_at(float(temperature)), dtype=np.float64) for temperature in temperatures]
        return cls(np.asarray(temperatures, dtype=np.float64), np.stack(rows))

    def take(self, entities: Array) -> "ScoreTable":
        """Keep some entities only. entities (Array): Indices, or a mask."""
        return ScoreTable(self.temperatures, self.scores[:, entities])

    def at(self, temperature: float) -> Floats:
        """Interpolate scores, linearly in the logarithm of the temperature, which is held within the table.

        RETURNS (Floats): (entities,)
        """
        grid, wanted = np.log(self.temperatures), np.log(temperature)
        above = int(np.clip(np.searchsorted(grid, wanted), 1, len(grid) - 1))
        share = np.clip((wanted - grid[above - 1]) / (grid[above] - grid[above - 1]), 0, 1)
        scores: Floats = self.scores[above - 1] * (1 - share) + self.scores[above] * share
        return scores


@dataclass(frozen=True, eq=False)
class Calibration:
    """The parameters that turn logits into confidences.

    temperature (float): Divides the logits. Above 0
    offsets (Floats): Added to the log-odds of an entity, by its label. (labels,)
    """

    temperature: float
    offsets: Floats

    def apply(self, table: ScoreTable, labels: Array) -> Floats:
        """Look up confidences. labels (Array): Label of each entity, as an index. RETURNS (Floats): (entities,)"""
        return shift_log_odds(table.at(self.temperature), self.offsets[labels])


def fit_calibration(
    table: ScoreTable,
    right: Array,
    labels: Array,
    n_labels: int,
    weights: Array | None = None,
    prior: float = 20.0,
) -> Calibration:
    """Find the temperature and the offsets with the lowest (weighted) log loss of right and wrong entities.

    A temperature alone would have to express two things by one number: how far scores spread, and how many entities are
    wrong. Offsets express the second, for each type. A prior pulls each label's offset towards a common one, so that
    the offset of a rare label differs from it only as far as its entities are evidence for that.

    The objective is that of the scores that are used, those of decoded entities. The usual objective, the likelihood of
    gold tag sequences, is dominated by tokens outside of entities, whose confidence is not shown.

    table (ScoreTable): Scores of the entities at the temperatures to choose among.
    right (Array): Which entities are right. (entities,), bool
    labels (Array): Label of each entity, as an index. (entities,), ints
    n_labels (int): Number of labels; those without entities get the common offset.
    weights (Array | None): Weight of each entity, such as `balance`'s: a development set is easier than future texts,
        and entities that resemble those can get more weight. (entities,)
    prior (float): Strength of the prior, as the inverse of the offsets' variance: as much evidence as that of four
        times as many entities of score 1/2, or twenty times as many of score 0.95.
    RETURNS (Calibration): A temperature within the table; temperature 1 and no offsets where there is no entity of
        positive weight, or all of them are right or all wrong, so that the loss has no minimum.
    Source: Platt 1999 (offset); Guo et al. 2017 (temperature), applied to spans.
    """
    right, labels = np.asarray(right, dtype=bool), np.asarray(labels)
    counts = np.ones(len(right)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (right[counts > 0].any() and (~right[counts > 0]).any()):
        return Calibration(1.0, np.zeros(n_labels))
    offsets = _fit_offsets(table.scores, right, labels, n_labels, counts, prior)
    losses = np.average(loss_of_each(shift_log_odds(table.scores, offsets[:, labels]), right), axis=1, weights=counts)
    temperature = _lowest(table.temperatures, losses)
    there = table.at(temperature)[None]
    return Calibration(temperature, _fit_offsets(there, right, labels, n_labels, counts, prior)[0])


def _fit_offsets(scores: Floats, right: Array, labels: Array, n_labels: int, counts: Floats, prior: float) -> Floats:
    """Fit the labels' offsets at each temperature. scores (Floats): (temperatures, entities). RETURNS: (.., labels)."""
    common = _balance_point(scores, right, counts, np.zeros(len(scores)), 0.0)
    offsets = np.empty((len(scores), n_labels))
    for label in range(n_labels):
        own = np.flatnonzero(labels == label)
        offsets[:, label] = _balance_point(scores[:, own], right[own], counts[own], common, prior)
    return offsets


def _balance_point(scores: Floats, right: Array, counts: Floats, centre: Floats, prior: float) -> Floats:
    """Find the offset at which the expected number of right entities is the observed one, up to the prior.

    There the slope of the log loss, which rises with the offset, is zero.

    scores (Floats): (temperatures, entities)
    centre (Floats): The prior's mean. (temperatures,)
    RETURNS (Floats): (temperatures,)
    """
    low, high = np.full(len(scores), -_FURTHEST), np.full(len(scores), _FURTHEST)
    here, wanted = centre, (counts * right).sum()
    for _ in range(_STEPS):
        shifted = shift_log_odds(scores, here[:, None])
        slope = shifted @ counts - wanted + prior * (here - centre)
        curvature = (shifted * (1 - shifted)) @ counts + prior
        low, high = np.where(slope < 0, here, low), np.where(slope < 0, high, here)
        onward = here - slope / np.maximum(curvature, 1e-12)
        # Where Newton's step leaves the interval that brackets the root, bisect instead.
        onward = np.where((low <= onward) & (onward <= high), onward, (low + high) / 2)
        here, moved = onward, np.abs(onward - here).max()
        if moved < 1e-8:
            break
    return here


def balance(groups: Sequence[Hashable] | Array) -> Floats:
    """Weight entities so that each group has the same total weight. RETURNS (Floats): Mean 1. (entities,)"""
    _, index, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    weights: Floats = len(index) / (len(sizes) * sizes[index])
    return weights


def halve(documents: Array, seed: int = 0) -> Bools:
    """Split documents into two halves at random, the same for the same seed. RETURNS: in the first? (entities,)"""
    names, index = np.unique(documents, return_inverse=True)
    return np.random.default_rng(seed).permutation(len(names))[index] < (len(names) + 1) // 2


def cross_fit(
    table: ScoreTable, labels: Array, documents: Array, fit: Callable[[Array], Calibration], seed: int = 0
) -> Floats:
    """Score each half of the documents by the calibration fitted on the other half.

    labels (Array): Label of each entity, as an index. (entities,)
    documents (Array): Document of each entity. (entities,)
    fit (Callable[[Array], Calibration]): Given the indices of the entities to learn from.
    seed (int): Of the split.
    RETURNS (Floats): Scores, as on held-out data. (entities,)
    """
    first = halve(documents, seed)
    scores = np.empty(len(first))
    for learn, judge in ((first, ~first), (~first, first)):
        scores[judge] = fit(np.flatnonzero(learn)).apply(table, labels)[judge]
    return scores


def _lowest(temperatures: Floats, losses: Floats) -> float:
    """Find the lowest point, between the table's temperatures by the parabola through the best and its neighbours."""
    grid, best = np.log(temperatures), int(np.argmin(losses))
    if not 0 < best < len(grid) - 1:
        return float(temperatures[best])
    square, slope, _ = np.polyfit(grid[best - 1 : best + 2] - grid[best], losses[best - 1 : best + 2], 2)
    # Neighbours that are equal up to rounding define no parabola.
    shift = -slope / (2 * square) if square > 0 else 0.0
    return float(np.exp(np.clip(grid[best] + shift, grid[best - 1], grid[best + 1])))
