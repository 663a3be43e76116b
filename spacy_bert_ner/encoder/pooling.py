"""Word pieces to rows: which of a word's pieces stand for it."""

from collections.abc import Callable

import numpy as np
from thinc.api import Ops
from thinc.types import Floats2d

from spacy_bert_ner.arrays import Ints

from .choices import Pieces
from .vectors import PieceVectors, first_pieces

Pull = Callable[[Floats2d], PieceVectors]


def gather(ops: Ops, vectors: PieceVectors, pieces: Pieces) -> tuple[Floats2d, Ints, Pull]:
    """Take the rows that stand for the words of a batch.

    ops (Ops): thinc's backend.
    vectors (PieceVectors): The batch's word pieces.
    pieces (str): "first"; "mean", the average of a word's pieces; or "all", where every piece is a row.
    RETURNS (tuple[Floats2d, Ints, Pull]): (rows, width); how many rows each token has, (tokens,); and the way
        back for the rows' gradient.
    """
    one_each = np.ones(len(vectors.pieces), dtype=np.int64)
    if pieces == "all":
        return vectors.data, vectors.pieces, vectors.with_data
    if pieces == "mean":
        per_token = ops.asarray1i(vectors.pieces.tolist())

        def pull_mean(d_rows: Floats2d) -> PieceVectors:
            return vectors.with_data(ops.backprop_reduce_mean(d_rows, per_token))

        return ops.reduce_mean(vectors.data, per_token), one_each, pull_mean
    first = ops.xp.asarray(first_pieces(vectors.pieces))

    def pull_first(d_rows: Floats2d) -> PieceVectors:
        d_data = ops.alloc2f(*vectors.data.shape)
        d_data[first] = d_rows
        return vectors.with_data(d_data)

    return vectors.data[first], one_each, pull_first
