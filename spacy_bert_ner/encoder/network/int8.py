"""Static int8: linear layers whose weights have a scale per output channel, and whose inputs have one that is stored.

    rows (fp32) ─► quantize ─► codes (uint8) ─► product (int32) ─► scales, bias, activation ─► rows, or codes again
                   by the input's scale and zero point, which nothing else in the batch has a say in

Integers are summed exactly and every row by itself, so that a row's result is the same in any company. oneDNN does the
products through torch.ops.onednn; whether it does them right on this processor is for int8_probe to say.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from .layers import Linear
from .packing import TYPICAL_ROWS, PackedLinear, can_pack

# Codes of an input: all that a byte holds.
LOWEST, HIGHEST = 0, 255
# How oneDNN calls the activations of kinds.GELU_FORMS: what it applies, and which form of it.
FUSED = {
    "": ("none", ""),
    "none": ("gelu", "none"),
    "tanh": ("gelu", "tanh"),
    "relu": ("relu", ""),
    "silu": ("swish", ""),
}


def to_codes(rows: Tensor, scale: float, zero_point: int) -> Tensor:
    """Quantize.

    rows (Tensor): fp32, of any shape.
    scale, zero_point (float, int): What a code is worth, and the code of 0.
    RETURNS (Tensor): uint8, of the same shape; what lies beyond the codes becomes the last one.
    """
    if hasattr(torch, "quantize_per_tensor"):
        rows = rows.contiguous()
        quantized = torch.quantize_per_tensor(rows, scale, zero_point, torch.quint8)
        # Its bytes themselves: int_repr would copy them, at seven times the cost of all the rest.
        return torch.empty(0, dtype=torch.uint8).set_(quantized.untyped_storage(), 0, rows.shape, rows.stride())
    return torch.round(rows * (1 / scale)).add_(zero_point).clamp_(LOWEST, HIGHEST).to(torch.uint8)


class Int8Linear(nn.Module):
    """A linear layer in int8.

    parts (Mapping[str, Tensor]): "weight", int8, (outputs, inputs); "weight_scale" and "bias", (outputs,);
        "input_scale" and "input_zero_point", of one number; and, where the input's channels were evened out
        (Xiao et al. 2023), "smoothing", (inputs,), by which they are divided.
    dtype (dtype): What it gives.
    activation (str): What is applied to its result, a key of FUSED.
    """

    def __init__(self, parts: Mapping[str, Tensor], dtype: torch.dtype, activation: str = "") -> None:
        super().__init__()
        weight = parts["weight"]
        self.scale, self.zero_point = float(parts["input_scale"]), int(parts["input_zero_point"])
        self.dtype, self.post_op = dtype, FUSED[activation]
        # Opaque: it has no strides, cannot be saved, and is read by oneDNN alone.
        self.packed = torch.ops.onednn.qlinear_prepack(weight, [TYPICAL_ROWS, weight.shape[1]])
        self.weight_scale = parts["weight_scale"]
        self.weight_zero_point = torch.zeros(len(weight), dtype=torch.int64)
        # What the zero point adds to each product is the same for all rows: it is taken off with the bias.
        added = weight.sum(1, dtype=torch.int64).double() * self.weight_scale.double() * (self.scale * self.zero_point)
        self.bias = (parts["bias"].double() - added).float()
        self.smoothing = 1 / parts["smoothing"] if "smoothing" in parts else None

    def forward(self, rows: Tensor, following: nn.Module | None = None) -> Tensor:
        """Multiply.

        rows (Tensor): (rows, inputs), floats, or codes of this layer's input.
        following (Module | None): The layer that the result is for, if for one alone.
        RETURNS (Tensor): (rows, outputs), in the layer's dtype, or as codes where the following one takes them.
        """
        scale, zero_point, dtype = 1.0, 0, self.dtype
        if isinstance(following, Int8Linear) and following.smoothing is None:
            scale, zero_point, dtype = following.scale, following.zero_point, torch.uint8
        return cast(
            Tensor,
            torch.ops.onednn.qlinear_pointwise(
                self._codes(rows),
                self.scale,
                0,
                self.packed,
                self.weight_scale,
                self.weight_zero_point,
                self.bias,
                scale,
                zero_point,
                dtype,
                self.post_op[0],
                [],
                self.post_op[1],
            ),
        )

    def add_to(self, residual: Tensor, rows: Tensor) -> Tensor:
        """Add the result to a residual, in place.

        residual (Tensor): (rows, outputs), fp32.
        rows (Tensor): As in forward.
        RETURNS (Tensor): The residual.
        """
        return cast(
            Tensor,
            torch.ops.onednn.qlinear_pointwise.binary(
                self._codes(rows),
                self.scale,
                0,
                self.packed,
                self.weight_scale,
                self.weight_zero_point,
                residual,
                self.bias,
                1.0,
                0,
                torch.float32,
                1.0,
                0,
                "sum",
                1.0,
                "none",
                [],
                "",
            ),
        )

    def _codes(self, rows: Tensor) -> Tensor:
        if rows.dtype == torch.uint8:
            return rows
        rows = rows.float()
        return to_codes(rows if self.smoothing is None else rows * self.smoothing, self.scale, self.zero_point)


class FloatLinear(nn.Module):
    """A linear layer that stays in floats among those in int8, with the same methods.

    parts (Mapping[str, Tensor]): "weight", (outputs, inputs), and "bias", (outputs,), floats.
    dtype (dtype): What it multiplies in, and gives.
    activation (Callable[[Tensor], Tensor] | None): What is applied to its result.
    """

    def __init__(
        self, parts: Mapping[str, Tensor], dtype: torch.dtype, activation: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.dtype, self.activation = dtype, activation
        outputs, inputs = parts["weight"].shape
        with torch.device("meta"):
            linear = Linear(inputs, outputs)
        linear.weight = nn.Parameter(parts["weight"].to(dtype), requires_grad=False)
        linear.bias = nn.Parameter(parts["bias"].to(dtype), requires_grad=False)
        self.linear = PackedLinear(linear) if can_pack(linear.weight) else linear

    def forward(self, rows: Tensor, following: nn.Module | None = None) -> Tensor:
        """RETURNS (Tensor): (rows, outputs), from (rows, inputs) of floats. following: As Int8Linear has it."""
        made = self.linear(rows.to(self.dtype))
        return cast(Tensor, made if self.activation is None else self.activation(made))

    def add_to(self, residual: Tensor, rows: Tensor) -> Tensor:
        """RETURNS (Tensor): The residual, to which the result is added in place."""
        return residual.add_(self.forward(rows))


class ShortEmbedding(nn.Module):
    """A table of embeddings that is kept as it was saved, and read in fp32.

    weight (Tensor): (rows, width), fp16, or int8 with a scale for every row.
    scale (Tensor | None): (rows,) of those in int8.
    """

    def __init__(self, weight: Tensor, scale: Tensor | None) -> None:
        super().__init__()
        self.weight, self.scale = weight, scale

    def forward(self, ids: Tensor) -> Tensor:
        """RETURNS (Tensor): (ids, width), fp32."""
        rows = self.weight.index_select(0, ids).float()
        return rows if self.scale is None else rows * self.scale.index_select(0, ids)[:, None]
