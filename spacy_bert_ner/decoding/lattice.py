"""The legal tag sequences of a scheme, as one small automaton for every scheme.

A legal tag sequence is a path over the boundaries between tokens. At a boundary the text is closed (in no entity) or
open (within an entity of one label), and each token is one step:

    closed -> closed   O, or the only token of an entity     (BIO: O, B-X    BILUO: O, U-X)
    closed -> open X   the first token of a longer entity    (BIO: B-X       BILUO: B-X)
    open X -> open X   a token between                       (BIO: I-X       BILUO: I-X)
    open X -> closed   the last token                        (BIO: I-X       BILUO: L-X)

Sequences and paths correspond one to one, so that sums and maxima over paths are sums and maxima over sequences, at
the cost of 1 + labels states instead of a table of tags x tags.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from spacy_bert_ner.arrays import Array, Bools, Ints
from spacy_bert_ner.tags import TagScheme

Lengths = Sequence[int] | Array

# Beyond this a logit is infinite; the sum of a few such logits must not overflow.
_INFINITE = 1e300


@dataclass(frozen=True)
class Lattice:
    """The legal tag sequences of a scheme over given labels, with the masks that say so.

    scheme (TagScheme): The tag scheme.
    labels (tuple[str, ...]): Entity types; tags are in the order of `scheme.tags(labels)`.
    """

    scheme: TagScheme
    labels: tuple[str, ...]

    @cached_property
    def tags(self) -> list[str]:
        """Names of the tags, which are the columns of the logits."""
        return self.scheme.tags(self.labels)

    @cached_property
    def starts(self) -> Bools:
        """May the tag stand first? (tags,)"""
        return self.scheme.starts(self.labels)

    @cached_property
    def ends(self) -> Bools:
        """May the tag stand last? (tags,)"""
        return self.scheme.ends(self.labels)

    @cached_property
    def transitions(self) -> Bools:
        """May the one precede the other? (tags before, tags after)"""
        return self.scheme.transitions(self.labels)

    def columns(self, prefix: str) -> slice:
        """Say where a prefix's tags are, one per label in order. RETURNS (slice): Columns of the logits."""
        return slice(1 + self.scheme.prefixes.index(prefix), None, len(self.scheme.prefixes))

    def check(self, logits: Array, lengths: Lengths) -> Ints:
        """Check the shapes of a batch. RETURNS: lengths as an array. RAISES: ValueError where they do not fit."""
        sizes = np.asarray(lengths, dtype=np.int64).reshape(-1)
        if logits.ndim != 2 or logits.shape[1] != len(self.tags):
            raise ValueError(f"logits has shape {logits.shape}: expected (rows, {len(self.tags)}), one column per tag")
        if (sizes < 0).any() or sizes.sum() != len(logits):
            raise ValueError(f"lengths sum to {sizes.sum()}: expected the {len(logits)} rows of logits, none below 0")
        return sizes


class Spans(NamedTuple):
    """Entities of a batch of sequences, as four arrays of ints, (entities,) each.

    sequence (Array): Index of the entity's sequence.
    start, end (Array): First token and the one after the last, counted within the sequence.
    label (Array): Index into the lattice's labels.
    """

    sequence: Array
    start: Array
    end: Array
    label: Array


class Arcs(NamedTuple):
    """Logits by what they do on the lattice, labels before rows, so that one row's step is a slice of the last axis.

    outside (Array): O. (rows,)
    single, first, inside, last (Array): Tags of an entity's tokens. (labels, rows)
    """

    outside: Array
    single: Array
    first: Array
    inside: Array
    last: Array

    @classmethod
    def of(cls, lattice: Lattice, logits: Array) -> "Arcs":
        """Pick the columns of logits that stand for each kind of arc."""
        by_tag, scheme = np.ascontiguousarray(logits.T), lattice.scheme
        prefixes = (scheme.single, scheme.first, scheme.inside, scheme.last)
        return cls(by_tag[0], *(by_tag[lattice.columns(prefix)] for prefix in prefixes))


class Steps(NamedTuple):
    """The rows of sequences of different lengths in the order of their steps, longest sequence first.

        sequences  a0 a1 a2 | b0 | c0 c1      order  a, c, b
        rows       a0 c0 b0 | a1 c1 | a2      bounds 0, 3, 5, 6

    order (Ints): Sequences, longest first. (sequences,)
    rows (Ints): The row of each position. (rows,)
    bounds (list[int]): Step k is positions bounds[k] to bounds[k + 1], one for each sequence that goes on, in order.
    """

    order: Ints
    rows: Ints
    bounds: list[int]

    @classmethod
    def of(cls, starts: Ints, lengths: Ints) -> "Steps":
        """Lay out sequences, each given by its first row and its length."""
        order = np.argsort(-lengths, kind="stable")
        bounds = offsets(len(lengths) - np.bincount(lengths).cumsum()[:-1])
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        step = ranges(np.zeros_like(lengths), lengths)
        rows = np.empty_like(step)
        rows[bounds[step] + rank.repeat(lengths)] = step + starts.repeat(lengths)
        return cls(order, rows, bounds.tolist())


def centre(logits: Array) -> Array:
    """Subtract each row's highest logit, which changes no sequence's rank or probability, and make all finite.

    logits (Array): Any floats. (rows, tags)
    RETURNS (Array): Doubles, 0 for the best tag of each row, finite and below 0 for the others. (rows, tags)
    """
    doubles = logits.astype(np.float64)
    # A comparison with NaN is false.
    finite = np.minimum(np.where(doubles > -_INFINITE, doubles, -_INFINITE), _INFINITE)
    return finite - finite.max(axis=1, keepdims=True)


def offsets(lengths: Ints) -> Ints:
    """Sum lengths up. RETURNS (Ints): First row of each sequence, then the number of rows. (sequences + 1,)"""
    bounds = np.zeros(len(lengths) + 1, dtype=np.int64)
    lengths.cumsum(out=bounds[1:])
    return bounds


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """Join range(start, start + length) for each pair. RETURNS (Ints): (sum of lengths,)"""
    ends = lengths.cumsum()
    rows = np.arange(ends[-1] if len(ends) else 0)
    return rows + (starts - ends + lengths).repeat(lengths)
