"""Temperatures fitted on a development set."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .losses import Array, Floats, loss_of_each

# 0.5 to 4.95 in steps of 5 %, finer than the error with which any development set determines a temperature.
TEMPERATURES: Floats = 0.5 * 1.05 ** np.arange(48, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """The scores of the same entities at many temperatures, from which every fit is a matter of looking up.

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

    def at(self, temperature: float | Array) -> Floats:
        """Interpolate scores, linearly in the logarithm of the temperature, which is held within the table.

        temperature (float | Array): One for all entities, or one for each. () or (entities,)
        RETURNS (Floats): (entities,)
        """
        grid = np.log(self.temperatures)
        wanted = np.broadcast_to(np.log(temperature), self.scores.shape[1:])
        above = np.clip(np.searchsorted(grid, wanted), 1, len(grid) - 1)
        share = np.clip((wanted - grid[above - 1]) / (grid[above] - grid[above - 1]), 0, 1)
        columns = np.arange(self.scores.shape[1])
        return self.scores[above - 1, columns] * (1 - share) + self.scores[above, columns] * share


def fit_temperature(table: ScoreTable, right: Array, weights: Array | None = None) -> float:
    """Find the temperature that makes right and wrong likeliest: the lowest (weighted) log loss of the scores.

    What is fitted is what is used, the scores of decoded entities. The likelihood of gold tag sequences, the usual
    objective, spends itself on the tokens outside, whose confidence nobody sees.

    table (ScoreTable): Scores of the entities at the temperatures to choose among.
    right (Array): Which entities are right. (entities,), bool
    weights (Array | None): What each entity counts, such as `balance`'s: a development set is easier than the texts to
        come, and entities that resemble those can be given more weight. (entities,)
    RETURNS (float): Within the table; 1.0 where the entities that count are none, all right or all wrong, for
        then nothing opposes the lowest or the highest temperature.
    Source: Guo et al. 2017, applied to spans.
    """
    right = np.asarray(right, dtype=bool)
    counted = np.ones(len(right), dtype=bool) if weights is None else np.asarray(weights) > 0
    if not (right[counted].any() and (~right[counted]).any()):
        return 1.0
    return _lowest(table.temperatures, _losses(table.scores, right, weights))


def fit_worst_group(table: ScoreTable, right: Array, groups: Sequence[Hashable] | Array) -> float:
    """Find the temperature at which no group of entities does much worse than at its own best temperature.

    Minimises, over temperatures, the largest regret of a group: its mean log loss less the lowest that it can have. A
    small group of hard entities thus counts as much as a large one of easy entities. Groups may be types,
    documents by difficulty (`by_confidence`), or entities whose text the training set has and has not.

    groups (Sequence): The group of each entity. (entities,)
    RETURNS (float): Within the table; groups that are all right or all wrong are left out, 1.0 where no other is left.
    Source: minimax regret, Savage 1951; Agarwal & Zhang 2022 on distribution shift.
    """
    right = np.asarray(right, dtype=bool)
    regrets = []
    for members in _members(groups):
        if 0 < right[members].sum() < len(members):
            losses = _losses(table.scores[:, members], right[members], None)
            regrets.append(losses - losses.min())
    return _lowest(table.temperatures, np.max(regrets, axis=0)) if regrets else 1.0


def fit_by_label(
    table: ScoreTable, right: Array, labels: Array, n_labels: int, weights: Array | None = None, prior: float = 100.0
) -> Floats:
    """Find one temperature per label, each drawn to the common one as if `prior` more entities had spoken for that.

    labels (Array): Label of each entity, as an index. (entities,), ints
    n_labels (int): Number of labels; those without entities get the common temperature.
    weights (Array | None): What each entity counts. (entities,)
    prior (float): Above 0: the weight of the common loss, in entities.
    RETURNS (Floats): Temperatures, within the table. (labels,)
    """
    right, labels = np.asarray(right, dtype=bool), np.asarray(labels)
    counts = np.ones(len(right)) if weights is None else np.asarray(weights, dtype=np.float64)
    common = fit_temperature(table, right, counts)
    fitted = np.full(n_labels, common)
    for label in range(n_labels):
        own = counts * (labels == label)
        if own.any():
            fitted[label] = fit_temperature(table, right, own + prior * counts / counts.sum())
    return fitted


def choose_by_label(
    table: ScoreTable,
    right: Array,
    labels: Array,
    n_labels: int,
    documents: Array,
    weights: Array | None = None,
    prior: float = 100.0,
    splits: int = 5,
) -> Floats:
    """Give a label a temperature of its own only where that pays on documents that it was not fitted on.

    documents (Array): Document of each entity. (entities,)
    splits (int): Number of random halvings of the documents over which the cross-fitted log losses are averaged.
    others: As in `fit_by_label`.
    RETURNS (Floats): Temperatures, the common one where a label's own does not lower the log loss. (labels,)
    """
    right, labels = np.asarray(right, dtype=bool), np.asarray(labels)
    counts = np.ones(len(right)) if weights is None else np.asarray(weights, dtype=np.float64)
    gain = np.zeros(n_labels)
    for seed in range(splits):
        one = cross_fit(table, documents, lambda i: fit_temperature(table.take(i), right[i], counts[i]), seed)
        own = cross_fit(
            table,
            documents,
            lambda i: fit_by_label(table.take(i), right[i], labels[i], n_labels, counts[i], prior)[labels],
            seed,
        )
        gain += np.bincount(labels, counts * (loss_of_each(one, right) - loss_of_each(own, right)), n_labels)
    common = fit_temperature(table, right, counts)
    return np.where(gain > 0, fit_by_label(table, right, labels, n_labels, counts, prior), common)


def balance(groups: Sequence[Hashable] | Array) -> Floats:
    """Weigh entities so that each group counts the same in all. RETURNS (Floats): Mean 1. (entities,)"""
    weights = np.zeros(len(groups))
    members_of = _members(groups)
    for members in members_of:
        weights[members] = len(groups) / (len(members_of) * len(members))
    return weights


def by_confidence(scores: Array, documents: Array, n_groups: int = 4) -> Array:
    """Group documents by difficulty, as the model sees it: by the mean score of their entities.

    Difficulty is not taken from the documents' errors, for those picked as hard by chance would feign overconfidence.

    documents (Array): Document of each entity, any ints. (entities,)
    n_groups (int): Number of groups, of about as many documents each.
    RETURNS (Array): Group of each entity, 0 the hardest. (entities,), ints
    """
    _, index, counts = np.unique(documents, return_inverse=True, return_counts=True)
    means = np.bincount(index, weights=scores, minlength=len(counts)) / np.maximum(counts, 1)
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(means, kind="stable")] = np.arange(len(counts))
    return (rank * n_groups // max(len(counts), 1))[index]


def halve(documents: Array, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Split documents into two halves at random, the same for the same seed. RETURNS: in the first? (entities,)"""
    names, index = np.unique(documents, return_inverse=True)
    return np.random.default_rng(seed).permutation(len(names))[index] < (len(names) + 1) // 2


def cross_fit(table: ScoreTable, documents: Array, fit: Callable[[Array], float | Floats], seed: int = 0) -> Floats:
    """Score each half of the documents at the temperature fitted on the other half.

    documents (Array): Document of each entity. (entities,)
    fit (Callable[[Array], float | Floats]): Given the indices of the entities to learn from, returns a temperature
        for all entities or one for each. () or (entities,)
    seed (int): Of the split.
    RETURNS (Floats): Scores, to be measured as if of another set. (entities,)
    """
    first = halve(documents, seed)
    scores = np.empty(len(first))
    for learn, judge in ((first, ~first), (~first, first)):
        scores[judge] = table.at(fit(np.flatnonzero(learn)))[judge]
    return scores


def _losses(scores: Array, right: Array, weights: Array | None) -> Floats:
    """Mean negative log-likelihoods. scores (Array): (..., entities). RETURNS: (...)."""
    return np.average(loss_of_each(scores, np.asarray(right, dtype=bool)), axis=-1, weights=weights)


def _lowest(temperatures: Floats, losses: Floats) -> float:
    """Find the lowest point, between the table's temperatures by the parabola through the best and its neighbours."""
    grid, best = np.log(temperatures), int(np.argmin(losses))
    if not 0 < best < len(grid) - 1:
        return float(temperatures[best])
    square, slope, _ = np.polyfit(grid[best - 1 : best + 2] - grid[best], losses[best - 1 : best + 2], 2)
    # Neighbours within rounding of each other make no parabola.
    shift = -slope / (2 * square) if square > 0 else 0.0
    return float(np.exp(np.clip(grid[best] + shift, grid[best - 1], grid[best + 1])))


def _members(groups: Sequence[Hashable] | Array) -> list[npt.NDArray[np.int64]]:
    """Indices of each group's entities, groups in the order of their first. RETURNS: (members,) each."""
    members: dict[Hashable, list[int]] = {}
    for i, group in enumerate(np.asarray(groups).tolist() if isinstance(groups, np.ndarray) else groups):
        members.setdefault(group, []).append(i)
    return [np.array(indices) for indices in members.values()]
