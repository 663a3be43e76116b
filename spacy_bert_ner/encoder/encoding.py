"""The torch module's way through a batch of documents."""

from typing import cast

import numpy as np
import torch
from torch import Tensor

from .layout import PieceLayout, fill_batches, window_lengths
from .network.module import Encoder
from .pieces import WordPieces
from .windows import batch_windows


def encode_documents(layout: PieceLayout, pieces: WordPieces, max_pieces: int, encoder: Encoder) -> Tensor:
    """Run the encoder over a layout's windows.

    layout (PieceLayout): The batch's pieces.
    pieces (WordPieces): The tokenizer, for its special pieces.
    max_pieces (int): Maximum number of pieces of a forward pass, padding counted.
    encoder (Encoder): The module.
    RETURNS (Tensor): (pieces, width), in the order of the layout, on the encoder's device.
    """
    device = next(encoder.parameters()).device
    outputs, rows, read, first = [], [], [], 0
    for batch in fill_batches(layout, pieces, batch_windows(window_lengths(layout, pieces), max_pieces)):
        ids, shapes = (torch.from_numpy(part).to(device) for part in (batch.ids, batch.shapes))
        outputs.append(encoder(ids, shapes, batch.sizes))
        rows.append(batch.rows + first)
        read.append(batch.pieces)
        first += len(outputs[-1])
    # Each piece is read once, in the order of the batches: from which row of all outputs.
    source = np.empty(len(layout.ids), dtype=np.int64)
    source[np.concatenate(read)] = np.concatenate(rows)
    vectors = torch.cat(outputs)[torch.from_numpy(source).to(device)]
    if encoder.memory is None:
        return vectors
    return cast(Tensor, encoder.memory(vectors, layout.recurrences(), max_pieces))
