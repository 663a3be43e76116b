"""What the head reads of each word: its vector, and the mean of its other occurrences where it recurs."""

from typing import NamedTuple

import numpy as np

from spacy_bert_ner.arrays import Array
from spacy_bert_ner.encoder.choices import Pieces
from spacy_bert_ner.encoder.layout import PieceLayout


class ScoredWords(NamedTuple):
    """The inputs of head.onnx, by name; a graph has those that it needs.

    vectors (Array): The vector that carries the word's label. (words, width)
    firsts (Array): That of its first piece, where another carries the label. (words, width)
    others (Array): The mean over its other occurrences of the vectors of their first pieces, or 0. (words, width)
    recurs (Array): 1 where there are others, else 0. (words, 1)
    """

    vectors: Array
    firsts: Array
    others: Array
    recurs: Array


def gather_words(vectors: Array, layout: PieceLayout, pieces: Pieces) -> ScoredWords:
    """Put together what the head reads.

    vectors (Array): (pieces, width), fp32, in the order of the layout.
    layout (PieceLayout): The batch.
    pieces (str): Which of a word's pieces carry its label; of "all", the first decides.
    RETURNS (ScoredWords): Of all documents' words.
    """
    starts = layout.starts
    firsts = vectors[starts]
    scored = firsts
    if pieces == "mean":
        counts = np.concatenate(layout.counts)
        scored = np.add.reduceat(vectors, starts, axis=0) / counts[:, None].astype(np.float32)
    others, recurs = np.zeros_like(firsts), np.zeros((len(firsts), 1), dtype=np.float32)
    found = layout.recurrences()
    if len(found.sizes):
        words = np.searchsorted(starts, found.firsts)
        others[words] = means_of_others(firsts[words], found.sizes)
        recurs[words] = 1
    return ScoredWords(scored, firsts, others, recurs)


def means_of_others(rows: Array, sizes: Array) -> Array:
    """Average a group's other rows (see memory.MeanOfOthers).

    rows (Array): Groups one after another. (rows, width)
    sizes (Array): Rows of each group, at least 2. (groups,)
    RETURNS (Array): (rows, width).
    """
    sums = np.add.reduceat(rows, np.cumsum(sizes) - sizes, axis=0)
    return (np.repeat(sums, sizes, axis=0) - rows) / np.repeat(sizes - 1, sizes)[:, None].astype(rows.dtype)
