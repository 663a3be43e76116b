"""Document memory: what the encoder knows of a word from the rest of its document.

The encoder sees a window at a time, so that a name that the first lines explain stands bare further down. Here a
learned function of the mean vector of a word's other occurrences in its document is added to each occurrence:

    vector + W2 gelu(W1 [vector; mean of the others])

W2 starts at zero, so that an encoder with a memory begins as the encoder without it. Akbik et al. 2019 (pooled
contextualized embeddings) average over all texts read so far; here nothing outlives the document.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from spacy_bert_ner.encoder.recurrences import Recurrences

from .attention import rounded
from .layers import Linear


class DocumentMemory(nn.Module):
    """See the module.

    width (int): Of the vectors.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.compare = Linear(2 * width, width)
        self.add = Linear(width, width)

    def initialize(self) -> None:
        """Give it its first values, with which it adds nothing."""
        nn.init.normal_(self.compare.weight, std=0.02)
        for zero in (self.compare.bias, self.add.weight, self.add.bias):
            nn.init.zeros_(zero)

    def forward(self, vectors: Tensor, found: Recurrences, maximum: int) -> Tensor:
        """Add to every occurrence a learned function of the mean vector of the others.

        vectors (Tensor): (pieces, width) of whole documents.
        found (Recurrences): What recurs in them.
        maximum (int): Maximum number of occurrences that are worked on at once, if they are not of one word: what
            bounds the memory that this takes.
        RETURNS (Tensor): (pieces, width).
        """
        changed = vectors.clone()
        for part in found.parts(maximum):
            firsts, sizes, pieces, owners = (
                torch.from_numpy(numbers).to(vectors.device)
                for numbers in (part.firsts, part.sizes, part.pieces, part.owners)
            )
            own = vectors.index_select(0, firsts)
            added = self._compare(torch.cat([own, MeanOfOthers.apply(own, sizes)], 1))
            changed.index_add_(0, pieces, added.to(vectors.dtype).index_select(0, owners))
        return changed

    def _compare(self, both: Tensor) -> Tensor:
        """RETURNS (Tensor): (occurrences, width), of (occurrences, 2 * width)."""
        count = len(both)
        return cast(Tensor, self.add(gelu(self.compare(pad(both, (0, 0, 0, rounded(count) - count))))))[:count]


class MeanOfOthers(torch.autograd.Function):
    """The average of a group's other rows; a symmetric matrix, so that its gradient is the same of the gradient."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, sizes: Tensor) -> Tensor:
        """Rows of groups, one after another, (rows, width), and the groups' sizes, at least 2, to the averages."""
        ctx.save_for_backward(sizes)
        group = torch.repeat_interleave(sizes)
        wide = rows.float()
        sums = wide.new_zeros(len(sizes), rows.shape[1]).index_add_(0, group, wide)
        return ((sums[group] - wide) / (sizes[group, None] - 1)).to(rows.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """See the class."""
        (sizes,) = ctx.saved_tensors
        return MeanOfOthers.apply(gradients[0], sizes), None
