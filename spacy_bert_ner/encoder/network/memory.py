"""Document memory: what the encoder knows of a word from the rest of its document.

The encoder sees a window at a time, so that a name that the first lines explain stands bare further down. Here a
learned function of the mean vector of a word's other occurrences in its document is added to each occurrence:

    vector + W2 gelu(W1 [vector; mean of the others])

W2 starts at zero, so that an encoder with a memory begins as the encoder without it. Akbik et al. 2019 (pooled
contextualized embeddings) average over all texts read so far; here nothing outlives the document.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from spacy_bert_ner.arrays import Ints

from .attention import rounded
from .layers import Linear


@dataclass(frozen=True)
class Recurrences:
    """Words that occur more than once in a document, one document after another, occurrences side by side.

    firsts (Ints): The first piece of each occurrence. (occurrences,)
    sizes (Ints): How many occurrences each word has, at least 2. (words,)
    pieces (Ints): All pieces of the occurrences. (pieces,)
    owners (Ints): Which occurrence each of them belongs to. (pieces,)
    """

    firsts: Ints
    sizes: Ints
    pieces: Ints
    owners: Ints

    def parts(self, maximum: int) -> Iterator["Recurrences"]:
        """Take them apart between words.

        maximum (int): Occurrences of a part; a word with more is a part alone.
        RETURNS (Iterator[Recurrences]): The parts.
        """
        ends = np.cumsum(self.sizes)
        word = start = 0
        while word < len(ends):
            following = max(int(np.searchsorted(ends, start + maximum, side="right")), word + 1)
            end = int(ends[following - 1])
            low, high = np.searchsorted(self.owners, (start, end))
            yield Recurrences(
                self.firsts[start:end],
                self.sizes[word:following],
                self.pieces[low:high],
                self.owners[low:high] - start,
            )
            word, start = following, end


def find_recurrences(folded: Ints, tokens: Ints, starts: Ints, counts: Ints) -> Recurrences:
    """Find the words that recur within their documents; capitals make no difference.

    folded (Ints): The same number for words that differ in capitals alone. (tokens,)
    tokens (Ints): Words of each document. (documents,)
    starts (Ints): Each word's first piece in the batch. (tokens,)
    counts (Ints): Pieces of each word. (tokens,)
    RETURNS (Recurrences): What recurs.
    """
    document = np.repeat(np.arange(len(tokens)), tokens)
    kinds = int(folded.max()) + 1 if len(folded) else 1
    _, first, word, times = np.unique(
        document * kinds + folded, return_index=True, return_inverse=True, return_counts=True
    )
    # In the order in which they first occur: the numbers depend on what was read before.
    rank = np.argsort(np.argsort(first))
    word, times = rank[word], times[np.argsort(first)]
    recurring = np.flatnonzero(times[word] > 1)
    # Occurrences side by side, in the order of the text.
    occurrences = recurring[np.argsort(word[recurring], kind="stable")]
    firsts, lengths = starts[occurrences], counts[occurrences]
    owners = np.repeat(np.arange(len(firsts)), lengths)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Recurrences(firsts, times[times > 1], firsts[owners] + within, owners)


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
