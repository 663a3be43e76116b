"""The best legal tag sequence, and the entities in it."""

from itertools import pairwise

import numpy as np

from spacy_bert_ner.arrays import Array, Bools, Ints

from .lattice import Arcs, Lattice, Lengths, Spans, Steps, centre, offsets


def viterbi(lattice: Lattice, logits: Array, lengths: Lengths) -> Array:
    """Find, for each sequence, the legal tags with the highest sum of logits.

    Where the best tag of each token makes a legal sequence, that is the answer. Elsewhere sequences are first cut
    where a cut provably costs nothing, and only the pieces that are illegal as they stand are searched, all at once.

    lattice (Lattice): The legal sequences.
    logits (Array): Logit of each tag. (rows, tags), floats
    lengths (Lengths): Rows of each sequence. (sequences,)
    RETURNS (Array): Index of each token's tag. (rows,), ints
    RAISES: ValueError where the shapes do not fit each other.
    Source: Viterbi 1967.
    """
    sizes = lattice.check(logits, lengths)
    logits = centre(logits)
    tags = logits.argmax(axis=1)
    cuts = np.zeros(len(tags) + 1, dtype=bool)
    cuts[offsets(sizes)] = True
    if not _is_illegal(lattice, tags, cuts).any():
        return tags
    arcs = Arcs.of(lattice, logits)
    cuts[:-1] |= _find_free_cuts(arcs, cuts)
    starts = np.flatnonzero(cuts)
    hard = np.logical_or.reduceat(_is_illegal(lattice, tags, cuts), starts[:-1])
    steps = Steps.of(starts[:-1][hard], np.diff(starts)[hard])
    tags[steps.rows] = _search(lattice, arcs, steps)
    return tags


def tags_to_spans(lattice: Lattice, tags: Array, lengths: Lengths) -> Spans:
    """Read the entities off legal tags, such as Viterbi's.

    lattice (Lattice): The legal sequences.
    tags (Array): Index of each token's tag. (rows,), ints
    lengths (Lengths): Rows of each sequence. (sequences,)
    RETURNS (Spans): The entities, in the order of the text.
    """
    scheme = lattice.scheme
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


def _is_illegal(lattice: Lattice, tags: Array, cuts: Bools) -> Bools:
    """Say at which rows tags break the rules, if each piece between cuts were a sequence. RETURNS: (rows,), bool."""
    before = np.append(tags[:1], tags[:-1])
    legal = np.where(cuts[:-1], lattice.starts[tags], lattice.transitions[before, tags])
    return ~legal | (cuts[1:] & ~lattice.ends[tags])


def _find_free_cuts(arcs: Arcs, bounds: Array) -> Array:
    """Say before which tokens some best path is certainly closed.

    A path that is open at a boundary is worth at most `ahead` more, in its tokens to come, than one that is closed
    there: the other could open the same entity at the next token, or stay closed for one token and do it then. Likewise
    `behind` in the tokens before. Where the two sum to 0 or less for every label, being closed loses nothing; and
    since that holds whatever happens at the other cuts, it holds for all of them together.

    arcs (Arcs): Logits.
    bounds (Array): Where sequences begin and end. (rows + 1,), bool
    RETURNS (Array): (rows,), bool.
    """
    stay = _stay(arcs).max(axis=0)
    through = arcs.inside - stay
    first_row, last_row = bounds[:-1], bounds[1:]
    ahead = np.maximum(arcs.last - stay, arcs.inside - arcs.first)
    ahead = np.where(last_row, -np.inf, np.roll(ahead, -1, axis=1))
    ahead = np.maximum(arcs.last - stay, np.minimum(arcs.inside - arcs.first, through + ahead))
    behind = np.maximum(arcs.first - stay, arcs.inside - arcs.last)
    behind = np.where(first_row, -np.inf, np.roll(behind, 1, axis=1))
    behind = np.maximum(arcs.first - stay, np.minimum(arcs.inside - arcs.last, through + behind))
    return (np.roll(behind, 1, axis=1) + ahead <= 0).all(axis=0)


def _stay(arcs: Arcs) -> Array:
    """Logits of staying closed over a token: O, then the singles. RETURNS: (1 + labels, rows)."""
    return np.concatenate([arcs.outside[None], arcs.single])


def _search(lattice: Lattice, arcs: Arcs, steps: Steps) -> Array:
    """Find the best path over each piece, step by step over all pieces at once. RETURNS: tags in the order of steps."""
    rows = steps.rows
    stay = _stay(arcs).take(rows, axis=1)
    to_closed = np.concatenate([stay.max(axis=0)[None], arcs.last.take(rows, axis=1)])
    first, inside = arcs.first.take(rows, axis=1), arcs.inside.take(rows, axis=1)
    # State 0 is closed, 1 + l is open in label l; each piece's best is kept at 0, lest the past drown the present.
    state = np.full((1 + len(lattice.labels), len(steps.order)), -np.inf)
    state[0] = 0
    from_state = np.zeros(len(rows), dtype=np.int64)  # into closed
    from_open = np.zeros(first.shape, dtype=bool)  # into open: else from closed
    for low, high in pairwise(steps.bounds):
        now = state[:, : high - low]
        closing = now + to_closed[:, low:high]
        opening, going_on = now[0] + first[:, low:high], now[1:] + inside[:, low:high]
        from_state[low:high] = closing.argmax(axis=0)
        from_open[:, low:high] = going_on > opening
        now[0] = closing.max(axis=0)
        now[1:] = np.maximum(opening, going_on)
        now -= now.max(axis=0)
    before, after = _trace_back(from_state, from_open, steps)
    tag_of = _tags_of_arcs(lattice)
    single = np.append([0], np.arange(len(lattice.tags))[lattice.columns(lattice.scheme.single)])
    return np.where((before == 0) & (after == 0), single[stay.argmax(axis=0)], tag_of[before, after])


def _trace_back(from_state: Array, from_open: Array, steps: Steps) -> tuple[Array, Array]:
    """Follow the best path from each piece's end, where it is closed. RETURNS: states before and after each step."""
    before, after = np.zeros_like(from_state), np.zeros_like(from_state)
    state = np.zeros(len(steps.order), dtype=np.int64)
    for low, high in zip(steps.bounds[-2::-1], steps.bounds[:0:-1], strict=True):
        now = state[: high - low]
        after[low:high] = now
        stays = np.concatenate([np.zeros((1, high - low), dtype=bool), from_open[:, low:high]])
        kept = stays[now, np.arange(high - low)]
        before[low:high] = np.where(now == 0, from_state[low:high], np.where(kept, now, 0))
        now[:] = before[low:high]
    return before, after


def _tags_of_arcs(lattice: Lattice) -> Ints:
    """Table of the tag on the arc between two states, 0 where there is none or several. RETURNS: (states, states)."""
    columns, scheme = np.arange(len(lattice.tags)), lattice.scheme
    table = np.diag(np.append([0], columns[lattice.columns(scheme.inside)]))
    table[0, 1:] = columns[lattice.columns(scheme.first)]
    table[1:, 0] = columns[lattice.columns(scheme.last)]
    return table
