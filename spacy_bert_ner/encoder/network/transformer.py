"""Transformers of the BERT kind (Vaswani et al. 2017; Devlin et al. 2019), without any padding.

    ids ─► embeddings ─► [ qkv ─► attention ─► mix ─► norm ─► expand ─► activation ─► contract ─► norm ] for each layer
           words + positions + types + what is added                     residuals around both halves

All but attention sees the pieces of a batch's windows as one long row after another, and attention sees windows of
about the same length together (attention.py). One class for all kinds (kinds.py), for training and prediction.
"""

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import WindowGroup, attend, group_windows, rounded, row_indices
from .dropout import drop_out
from .kinds import NetworkShape
from .layers import Embedding, LayerNorm, Linear

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": functional.gelu,
    "tanh": lambda rows: functional.gelu(rows, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
}
# Buckets of distances and the distance that the last one begins at: MPNet's, whatever its config says.
BUCKETS, FURTHEST = 32, 128


class Transformer(nn.Module):
    """A transformer of a kind that is known.

    shape (NetworkShape): Its dimensions and rates.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = Embeddings(shape)
        self.relative = Embedding(shape.buckets, shape.heads) if shape.buckets else None
        self.layer = nn.ModuleList(Layer(shape) for _ in range(shape.layers))

    @property
    def rows(self) -> int:
        """RETURNS (int): Of the table of embeddings."""
        return self.shape.words

    @property
    def width(self) -> int:
        """RETURNS (int): Of the vectors."""
        return self.shape.width

    @property
    def embedding_width(self) -> int:
        """RETURNS (int): Of the words' embeddings."""
        return self.shape.embedding

    def forward(self, ids: Tensor, added: Tensor | None, lengths: Sequence[int]) -> Tensor:
        """Encode windows that lie one after another.

        ids (Tensor): (rows,) piece ids of all windows.
        added (Tensor | None): (rows, embedding width) what is added to the words' embeddings.
        lengths (Sequence[int]): Pieces of each window.
        RETURNS (Tensor): (rows, width).
        """
        groups = group_windows(lengths, ids.device)
        own = row_indices(groups).to(ids.device)
        rows = self.embeddings(ids, added, lengths)
        rows = rows.new_zeros(rounded(groups[-1].rows.stop), rows.shape[1]).index_copy(0, own, rows)
        bias = self._bias(max(one.length for one in groups))
        for layer in self.layer:
            rows = layer(rows, groups, bias)
        return rows.index_select(0, own)

    def _bias(self, length: int) -> Tensor | None:
        """Look up what attention's scores are biased by. RETURNS (Tensor | None): (heads, length, length)."""
        if self.relative is None:
            return None
        at = torch.arange(length, device=self.relative.weight.device)
        return cast(Tensor, self.relative(bucket(at[None, :] - at[:, None])).permute(2, 0, 1))


class Embeddings(nn.Module):
    """Piece ids to rows.

    shape (NetworkShape): The dimensions.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.first_position = shape.first_position
        self.dropout = shape.dropout
        self.words = Embedding(shape.words, shape.embedding)
        self.positions = Embedding(shape.positions, shape.embedding)
        self.types = Embedding(shape.types, shape.embedding) if shape.types else None
        self.norm = LayerNorm(shape.embedding, eps=shape.eps)
        self.project = Linear(shape.embedding, shape.width) if shape.embedding != shape.width else None

    def forward(self, ids: Tensor, added: Tensor | None, lengths: Sequence[int]) -> Tensor:
        """RETURNS (Tensor): (rows, width): see Transformer.forward."""
        rows = self.words(ids)
        if added is not None:
            rows = rows + added
        first = self.first_position
        positions = torch.cat([torch.arange(first, first + length) for length in lengths]).to(ids.device)
        rows = rows + self.positions(positions)
        if self.types is not None:
            rows = rows + self.types.weight[0]
        rows = drop_out(self.norm(rows), self.dropout, self.training)
        return rows if self.project is None else cast(Tensor, self.project(rows))


class Layer(nn.Module):
    """Attention and a feed-forward network.

    shape (NetworkShape): The dimensions.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.dropout, self.mix_dropout = shape.dropout, shape.mix_dropout
        self.attention_dropout = shape.attention_dropout
        self.activation = ACTIVATIONS[shape.activation]
        self.attention = nn.ModuleDict(
            {
                # One product instead of three: the larger it is, the nearer it comes to what the processor can do.
                "qkv": Linear(shape.width, 3 * shape.width),
                "mix": Linear(shape.width, shape.width),
                "norm": LayerNorm(shape.width, eps=shape.eps),
            }
        )
        self.expand = Linear(shape.width, shape.inner)
        self.contract = Linear(shape.inner, shape.width)
        self.norm = LayerNorm(shape.width, eps=shape.eps)

    def forward(self, rows: Tensor, groups: Sequence[WindowGroup], bias: Tensor | None) -> Tensor:
        """RETURNS (Tensor): (rows, width), from (rows, width)."""
        training = self.training
        attention = self.attention
        seen = attend(attention["qkv"](rows), groups, self.heads, bias, self.attention_dropout if training else 0.0)
        rows = attention["norm"](drop_out(attention["mix"](seen), self.mix_dropout, training) + rows)
        hidden = self.contract(self.activation(self.expand(rows)))
        return cast(Tensor, self.norm(drop_out(hidden, self.dropout, training) + rows))


def bucket(distances: Tensor) -> Tensor:
    """Sort signed distances into buckets: one for each that is near, wider ones further off (Raffel et al. 2020).

    distances (Tensor): Of a row's place to another's, whole numbers of any shape.
    RETURNS (Tensor): Buckets below BUCKETS, of the same shape; the upper half of them is for places behind.
    """
    half = BUCKETS // 2
    near = half // 2
    far = distances.abs()
    wide = (far.float().clamp(min=1) / near).log() / math.log(FURTHEST / near) * (half - near)
    within = torch.where(far < near, far, (near + wide.long()).clamp(max=half - 1))
    return within + half * (distances > 0)
