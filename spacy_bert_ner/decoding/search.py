"""The best legal tag sequence, and the entities in it."""

from itertools import pairwise
from types import ModuleType

import numpy as np
import numpy.typing as npt
from thinc.api import get_array_module, to_numpy

from .lattice import Arcs, Array, Lattice, Lengths, Spans, Steps, centre, offsets


def viterbi(lattice: Lattice, scores: Array, lengths: Lengths) -> Array:
    """Find, for each sequence, the legal tags with the highest sum of scores.

    Where the best tag of each token makes a legal sequence, that is the answer. Elsewhere sequences are first cut
    where a cut provably costs nothing, and only the pieces that are illegal as they stand are searched, all at once.

    lattice (Lattice): The legal sequences.
    scores (Array): Score of each tag. (rows, tags), floats
    lengths (Lengths): Rows of each sequence. (sequences,)
    RETURNS (Array): Index of each token's tag, where the scores are. (rows,), ints
    RAISES: ValueError where the shapes do not fit each other.
    Source: Viterbi 1967.
    """
    xp = get_array_module(scores)
    sizes = lattice.check(scores, lengths)
    scores = centre(xp, scores)
    tags = scores.argmax(axis=1)
    cuts = np.zeros(len(tags) + 1, dtype=bool)
    cuts[offsets(sizes)] = True
    best = to_numpy(tags)
    if not _is_illegal(lattice, best, cuts).any():
        return tags
    arcs = Arcs.of(xp, lattice, scores)
    cuts[:-1] |= to_numpy(_find_free_cuts(xp, arcs, xp.asarray(cuts)))
    starts = np.flatnonzero(cuts)
    hard = np.logical_or.reduceat(_is_illegal(lattice, best, cuts), starts[:-1])
    steps = Steps.of(starts[:-1][hard], np.diff(starts)[hard])
    tags[xp.asarray(steps.rows)] = _search(xp, lattice, arcs, steps)
    return tags


def read_spans(lattice: Lattice, tags: Array, lengths: Lengths) -> Spans:
    """Read the entities off legal tags, such as Viterbi's.

    lattice (Lattice): The legal sequences.
    tags (Array): Index of each token's tag. (rows,), ints
    lengths (Lengths): Rows of each sequence. (sequences,)
    RETURNS (Spans): The entities, in the order of the text.
    """
    tags, scheme = to_numpy(tags), lattice.scheme
    bounds = offsets(np.asarray(lengths, dtype=np.int64))
    opening = [scheme.prefixes.index(prefix) for prefix in (scheme.single, scheme.first)]
    within = tags > 0
    opens = within & np.isin((tags - 1) % len(scheme.prefixes), opening)
    # An entity ends where the next token does not go on with it, or where the sequence ends.
    goes_on = np.append(within & ~opens, False)
    goes_on[bounds] = False
    starts, ends = np.flatnonzero(opens), np.flatnonzero(within & ~goes_on[1:]) + 1
    sequence = np.searchsorted(bounds, starts, side="right") - 1
    label = (tags[starts] - 1) // len(scheme.prefixes)
    return Spans(sequence, starts - bounds[sequence], ends - bounds[sequence], label)


def _is_illegal(lattice: Lattice, tags: Array, cuts: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Say at which rows tags break the rules, if each piece between cuts were a sequence. RETURNS: (rows,), bool."""
    before = np.append(tags[:1], tags[:-1])
    legal = np.where(cuts[:-1], lattice.starts[tags], lattice.transitions[before, tags])
    return ~legal | (cuts[1:] & ~lattice.ends[tags])


def _find_free_cuts(xp: ModuleType, arcs: Arcs, bounds: Array) -> Array:
    """Say before which tokens some best path is certainly closed.

    A path that is open at a boundary is worth at most `ahead` more, in its tokens to come, than one that is closed
    there: the other could open the same entity at the next token, or stay closed for one token and do it then. Likewise
    `behind` in the tokens before. Where the two sum to 0 or less for every label, being closed loses nothing; and
    since that holds whatever happens at the other cuts, it holds for all of them together.

    arcs (Arcs): Scores.
    bounds (Array): Where sequences begin and end. (rows + 1,), bool
    RETURNS (Array): (rows,), bool.
    """
    stay = _stay(xp, arcs).max(axis=0)
    through = arcs.inside - stay
    first_row, last_row = bounds[:-1], bounds[1:]
    ahead = xp.maximum(arcs.last - stay, arcs.inside - arcs.first)
    ahead = xp.where(last_row, -np.inf, xp.roll(ahead, -1, axis=1))
    ahead = xp.maximum(arcs.last - stay, xp.minimum(arcs.inside - arcs.first, through + ahead))
    behind = xp.maximum(arcs.first - stay, arcs.inside - arcs.last)
    behind = xp.where(first_row, -np.inf, xp.roll(behind, 1, axis=1))
    behind = xp.maximum(arcs.first - stay, xp.minimum(arcs.inside - arcs.last, through + behind))
    return (xp.roll(behind, 1, axis=1) + ahead <= 0).all(axis=0)


def _stay(xp: ModuleType, arcs: Arcs) -> Array:
    """Scores of staying closed over a token: O, then the singles. RETURNS: (1 + labels, rows)."""
    return xp.concatenate([arcs.outside[None], arcs.single])


def _search(xp: ModuleType, lattice: Lattice, arcs: Arcs, steps: Steps) -> Array:
    """Find the best path over each piece, step by step over all pieces at once. RETURNS: tags in the order of steps."""
    rows = xp.asarray(steps.rows)
    stay = _stay(xp, arcs).take(rows, axis=1)
    to_closed = xp.concatenate([stay.max(axis=0)[None], arcs.last.take(rows, axis=1)])
    first, inside = arcs.first.take(rows, axis=1), arcs.inside.take(rows, axis=1)
    # State 0 is closed, 1 + l is open in label l; each piece's best is kept at 0, lest the past drown the present.
    state = xp.full((1 + len(lattice.labels), len(steps.order)), -np.inf)
    state[0] = 0
    from_state = xp.zeros(len(rows), dtype=np.int64)  # into closed
    from_open = xp.zeros(first.shape, dtype=bool)  # into open: else from closed
    for low, high in pairwise(steps.bounds):
        now = state[:, : high - low]
        closing = now + to_closed[:, low:high]
        opening, going_on = now[0] + first[:, low:high], now[1:] + inside[:, low:high]
        from_state[low:high] = closing.argmax(axis=0)
        from_open[:, low:high] = going_on > opening
        now[0] = closing.max(axis=0)
        now[1:] = xp.maximum(opening, going_on)
        now -= now.max(axis=0)
    before, after = _trace_back(xp, from_state, from_open, steps)
    tag_of = xp.asarray(_tags_of_arcs(lattice))
    single = xp.asarray(np.append([0], np.arange(len(lattice.tags))[lattice.columns(lattice.scheme.single)]))
    return xp.where((before == 0) & (after == 0), single[stay.argmax(axis=0)], tag_of[before, after])


def _trace_back(xp: ModuleType, from_state: Array, from_open: Array, steps: Steps) -> tuple[Array, Array]:
    """Follow the best path from each piece's end, where it is closed. RETURNS: states before and after each step."""
    before, after = xp.zeros_like(from_state), xp.zeros_like(from_state)
    state = xp.zeros(len(steps.order), dtype=np.int64)
    for low, high in zip(steps.bounds[-2::-1], steps.bounds[:0:-1], strict=True):
        now = state[: high - low]
        after[low:high] = now
        stays = xp.concatenate([xp.zeros((1, high - low), dtype=bool), from_open[:, low:high]])
        kept = stays[now, xp.arange(high - low)]
        before[low:high] = xp.where(now == 0, from_state[low:high], xp.where(kept, now, 0))
        now[:] = before[low:high]
    return before, after


def _tags_of_arcs(lattice: Lattice) -> npt.NDArray[np.int64]:
    """Table of the tag on the arc between two states, 0 where there is none or several. RETURNS: (states, states)."""
    columns, scheme = np.arange(len(lattice.tags)), lattice.scheme
    table = np.diag(np.append([0], columns[lattice.columns(scheme.inside)]))
    table[0, 1:] = columns[lattice.columns(scheme.first)]
    table[1:, 0] = columns[lattice.columns(scheme.last)]
    return table
