"""The most probable legal tag sequences of one text, with their probabilities."""

import numpy as np

from spacy_bert_ner.arrays import Array, Ints

from .lattice import Arcs, Lattice
from .span_posteriors import Surroundings, temper


def k_best(lattice: Lattice, logits: Array, k: int, temperature: float = 1.0) -> tuple[Ints, Array]:
    """Find the k legal tag sequences with the highest sum of logits.

    lattice (Lattice): The legal sequences.
    logits (Array): Logit of each tag, of one sequence. (rows, tags), floats
    k (int): How many, at least 1.
    temperature (float): Divides the logits. Above 0.
    RETURNS (tuple[Ints, Array]): Tags, (sequences, rows), the best first, all different, and fewer than k where there
        are fewer; and the probability of each among all legal sequences, (sequences,).
    RAISES: ValueError where shapes do not fit, or k is below 1.
    Source: Viterbi with the k best paths into each state (Soong & Huang 1991); probabilities by the forward algorithm.
    """
    if k < 1:
        raise ValueError(f"k is {k}: expected at least 1")
    sizes = lattice.check(logits, [len(logits)])
    arcs = temper(lattice, logits, temperature)
    # State 0 is closed, 1 + l is open in label l. Of each, its best paths so far, best first.
    best = np.full((1 + len(lattice.labels), 1), -np.inf)
    best[0, 0] = 0.0
    origins: list[tuple[Ints, Ints]] = []
    for row in range(len(logits)):
        best, origin = _step(arcs, row, best, k)
        origins.append(origin)
    total = Surroundings.of(arcs, sizes).before[-1]
    paths = best[0][np.isfinite(best[0])]
    return _trace_back(lattice, origins, len(paths)), np.exp(np.minimum(paths - total, 0.0))


def _step(arcs: Arcs, row: int, best: Array, k: int) -> tuple[Array, tuple[Ints, Ints]]:
    """Extend the best paths into each state by a token.

    best (Array): Sums of the best paths so far, -inf for none. (states, at most k)
    RETURNS (tuple[Array, tuple[Ints, Ints]]): The same after the token; and of each path the arc that it came by, as an
        index into the arcs of its state, and its rank at that arc's origin. (states, at most k) each
    """
    width = best.shape[1]
    # Into closed: O, the singles, then the last tokens of each label. Into open: a first token, or one inside.
    stay = np.append(arcs.outside[row], arcs.single[:, row])
    into_closed = np.concatenate([stay[:, None] + best[0], arcs.last[:, row, None] + best[1:]])
    into_open = np.stack([arcs.first[:, row, None] + best[0], arcs.inside[:, row, None] + best[1:]], axis=1)
    every = np.full((len(best), max(len(into_closed), 2) * width), -np.inf)
    every[0, : into_closed.size] = into_closed.ravel()
    every[1:, : 2 * width] = into_open.reshape(len(best) - 1, 2 * width)
    order = np.argsort(-every, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(every, order, axis=1), (order // width, order % width)


def _trace_back(lattice: Lattice, origins: list[tuple[Ints, Ints]], count: int) -> Ints:
    """Follow the best paths from the end, where they are closed. RETURNS (Ints): Their tags. (count, rows)"""
    columns, scheme, labels = np.arange(len(lattice.tags)), lattice.scheme, len(lattice.labels)
    into_closed = np.concatenate([[0], *(columns[lattice.columns(tag)] for tag in (scheme.single, scheme.last))])
    into_open = np.stack([columns[lattice.columns(tag)] for tag in (scheme.first, scheme.inside)], axis=1)
    tags = np.zeros((count, len(origins)), dtype=np.int64)
    state, rank = np.zeros(count, dtype=np.int64), np.arange(count)
    for row in range(len(origins) - 1, -1, -1):
        arc, before = (field[state, rank] for field in origins[row])
        closed = state == 0
        tags[closed, row] = into_closed[arc[closed]]
        tags[~closed, row] = into_open[state[~closed] - 1, arc[~closed]]
        from_open = np.where(closed, np.maximum(arc - labels, 0), np.where(arc == 1, state, 0))
        state, rank = from_open, before
    return tags
