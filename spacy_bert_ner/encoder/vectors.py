"""What an encoder hands to the head: vectors of word pieces, and how many of them each token has."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from thinc.types import Floats2d

Ints = npt.NDArray[np.int64]


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
