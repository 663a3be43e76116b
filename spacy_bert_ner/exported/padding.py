"""Windows to padded batches, such that none of them depends on what else is there."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spacy_bert_ner.arrays import Bools, Ints
from spacy_bert_ner.encoder.layout import WindowBatch

# Lengths come in multiples of it. A window is padded by its own length alone, never to that of a longer one beside it:
# sums over another number of masked places would be rounded otherwise.
LENGTH_STEP = 8
# Pieces of a batch beyond which it does not become faster any more, but leaves the processor's caches.
ENOUGH = 1024


class PaddedBatch(NamedTuple):
    """Windows of one padded length.

    ids, shapes (Ints): (windows, length), 0 where there is no piece.
    mask (Bools): (windows, length), whether there is one.
    """

    ids: Ints
    shapes: Ints
    mask: Bools


def padded_length(length: int) -> int:
    """RETURNS (int): The next multiple of LENGTH_STEP."""
    return -(-length // LENGTH_STEP) * LENGTH_STEP


def group_by_length(lengths: Sequence[int], max_pieces: int) -> list[list[int]]:
    """Group windows of the same padded length.

    lengths (Sequence[int]): Pieces of each window.
    max_pieces (int): Maximum number of pieces of a batch, padding counted; a longer window is a batch alone.
    RETURNS (list[list[int]]): Indices of windows, each once, longest first.
    """
    by_length: dict[int, list[int]] = {}
    for i, length in enumerate(lengths):
        by_length.setdefault(padded_length(length), []).append(i)
    batches = []
    for length, indices in sorted(by_length.items(), reverse=True):
        together = max(1, min(max_pieces, ENOUGH) // length)
        batches += [indices[first : first + together] for first in range(0, len(indices), together)]
    return batches


def pad_windows(batch: WindowBatch) -> PaddedBatch:
    """Pad windows that lie one after another. RETURNS (PaddedBatch): (windows, length of the longest, rounded up)."""
    sizes = np.array(batch.sizes)
    mask = np.arange(padded_length(int(sizes.max()))) < sizes[:, None]
    ids, shapes = (np.zeros(mask.shape, dtype=np.int64) for _ in range(2))
    ids[mask], shapes[mask] = batch.ids, batch.shapes
    return PaddedBatch(ids, shapes, mask)
