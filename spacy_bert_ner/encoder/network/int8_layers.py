"""The transformer's layers and the document memory with linear layers in int8, for inference on a processor.

    x (fp32) ─► qkv ─► attention ─► mix + x ─► norm ─► y (fp32) ─► expand, activation ─► contract + y ─► norm
                bf16   bf16                                        codes for contract

Residuals and norms are in fp32: from there codes are made in one step. Attention is in what the processor multiplies
best. What joins two linear layers, the activation and the residual, is applied by the product itself.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from .attention import WindowGroup, attend, rounded
from .int8 import FloatLinear, Int8Linear
from .memory import DocumentMemory
from .transformer import ACTIVATIONS, Layer

Linears = Mapping[str, Mapping[str, Tensor]]


class Int8Layer(nn.Module):
    """Attention and a feed-forward network: transformer.Layer.

    layer (Layer): The layer, its norms in fp32.
    activation (str): Of its feed-forward network, a key of ACTIVATIONS.
    linears (Mapping): The tensors of its linear layers, by their names in the layer.
    dtype (dtype): Of attention, and of linear layers that are not in int8.
    """

    def __init__(self, layer: Layer, activation: str, linears: Linears, dtype: torch.dtype) -> None:
        super().__init__()
        self.heads = layer.heads
        self.qkv, self.mix = (make_linear(linears[f"attention.{name}"], dtype) for name in ("qkv", "mix"))
        self.attention_norm = layer.attention["norm"]
        self.expand = make_linear(linears["expand"], dtype, activation)
        self.contract = make_linear(linears["contract"], dtype)
        self.norm = layer.norm

    def forward(self, rows: Tensor, groups: Sequence[WindowGroup], bias: Tensor | None) -> Tensor:
        """RETURNS (Tensor): (rows, width), from (rows, width), which is written over; both in fp32."""
        seen = attend(self.qkv(rows), groups, self.heads, bias)
        rows = self.attention_norm(self.mix.add_to(rows, seen))
        hidden = self.expand(rows, self.contract)
        return cast(Tensor, self.norm(self.contract.add_to(rows, hidden)))


class Int8Memory(DocumentMemory):
    """See DocumentMemory.

    linears (Mapping): The tensors of its linear layers, by their names.
    dtype (dtype): Of linear layers that are not in int8.
    """

    def __init__(self, linears: Linears, dtype: torch.dtype) -> None:
        # Without the layers of the one that is trained.
        nn.Module.__init__(self)
        self.first = make_linear(linears["compare"], dtype, "none")
        self.second = make_linear(linears["add"], dtype)

    def _compare(self, both: Tensor) -> Tensor:
        count = len(both)
        padded = pad(both, (0, 0, 0, rounded(count) - count))
        return cast(Tensor, self.second(self.first(padded, self.second)))[:count]


def make_linear(
    parts: Mapping[str, Tensor], dtype: torch.dtype, activation: str | None = None
) -> Int8Linear | FloatLinear:
    """RETURNS (Int8Linear | FloatLinear): A linear layer as its weight is saved."""
    if parts["weight"].dtype == torch.int8:
        return Int8Linear(parts, dtype, activation or "")
    return FloatLinear(parts, dtype, ACTIVATIONS[activation] if activation else None)
