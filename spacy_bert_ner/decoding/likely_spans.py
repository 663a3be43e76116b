"""All spans that are probable enough to be entities, whether the best tags have them or not."""

import numpy as np

from spacy_bert_ner.arrays import Array, Ints

from .lattice import Arcs, Lattice, Lengths, Spans, offsets
from .span_posteriors import Surroundings, temper


def likely_spans(
    lattice: Lattice, logits: Array, lengths: Lengths, least: Array, longest: int, temperature: float = 1.0
) -> Spans:
    """Find the spans whose posterior is high enough, among all up to a length.

    lattice (Lattice): The legal sequences.
    logits (Array): Logit of each tag. (rows, tags), floats
    lengths (Lengths): Rows of each sequence. (sequences,)
    least (Array): By label, the least posterior; 0 or less stands for all spans, above 1 for none. (labels,)
    longest (int): Maximum number of tokens of a span.
    temperature (float): Above 0.
    RETURNS (Spans): Those spans, which may overlap, ordered by sequence, start, end and label. For their posteriors see
        `span_posteriors`, by which they are chosen.
    RAISES: ValueError where shapes do not fit.
    """
    sizes = lattice.check(logits, lengths)
    arcs = temper(lattice, logits, temperature)
    surroundings, first_row = Surroundings.of(arcs, sizes), offsets(sizes)
    sequence = np.repeat(np.arange(len(sizes)), sizes)
    start = np.arange(len(logits)) - first_row[sequence]
    with np.errstate(divide="ignore"):
        floor = np.log(np.maximum(np.asarray(least, dtype=np.float64), 0.0))[:, None]
    found: list[Array] = []
    rows, inside = np.arange(len(logits)), np.zeros(arcs.inside.shape)
    for length in range(1, longest + 1):
        fits = start[rows] + length <= sizes[sequence[rows]]
        rows, inside = rows[fits], inside[:, fits]
        if not len(rows):
            break
        around = surroundings.around(sequence[rows], start[rows], start[rows] + length)
        logs = _sum_within(arcs, rows, inside, length) + around
        label, chosen = np.nonzero(np.minimum(logs, 0.0) >= floor)
        found.append(np.stack([rows[chosen], np.full(len(chosen), length), label]))
        if length > 1:
            inside = inside + arcs.inside[:, rows + length - 1]
    return _in_order(found, sequence, first_row)


def _sum_within(arcs: Arcs, rows: Ints, inside: Array, length: int) -> Array:
    """Sum the logits of each span's own tokens. inside: those between first and last. RETURNS: (labels, rows)."""
    if length == 1:
        return arcs.single[:, rows]
    return arcs.first[:, rows] + arcs.last[:, rows + length - 1] + inside


def _in_order(found: list[Array], sequence: Ints, first_row: Ints) -> Spans:
    """Sort spans, given as first row, length and label. RETURNS (Spans): Within their sequences."""
    row, length, label = np.concatenate([np.zeros((3, 0), dtype=np.int64), *found], axis=1)
    order = np.lexsort((label, length, row))
    row, length, label = row[order], length[order], label[order]
    owner = sequence[row]
    start = row - first_row[owner]
    return Spans(owner, start, start + length, label)
