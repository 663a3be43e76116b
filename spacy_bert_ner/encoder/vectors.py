"""What an encoder hands to the head: vectors of word pieces, and how many of them each token has."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from thinc.types import Floats2d

from spacy_bert_ner.arrays import Ints


@dataclass(frozen=True, eq=False)
class PieceVectors:
    """The vectors of a batch's word pieces, or their gradient, one document after another.

    data (Floats2d): (pieces, width), fp32, on thinc's device.
    pieces (Ints): Pieces of each token, at least one. (tokens,)
    tokens (Ints): Tokens of each document. (documents,)
    """

    data: Floats2d
    pieces: Ints
    tokens: Ints

    def with_data(self, data: Floats2d) -> "PieceVectors":
        """RETURNS (PieceVectors): Others, such as a gradient, of the same pieces."""
        return PieceVectors(data, self.pieces, self.tokens)


def first_pieces(counts: npt.ArrayLike) -> Ints:
    """Find each word's first piece, which decides where several of them are at hand.

    counts (ArrayLike): Pieces of each word. (words,), ints
    RETURNS (Ints): Its index among all pieces. (words,)
    """
    sizes = np.asarray(counts, dtype=np.int64)
    return np.cumsum(sizes) - sizes
