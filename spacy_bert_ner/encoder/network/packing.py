"""Linear layers for inference, their weights laid out beforehand as the processor's matrix instructions read them.

oneDNN lays a weight out anew at every call, which for one short text takes as long as a quarter of the products
themselves. It can apply the activation to the products as well, before they are rounded to bf16: another rounding than
in training, which moves confidences, so that it is left where it is.
"""

from typing import cast

import torch
from torch import Tensor, nn

from .module import Encoder
from .precision import has_native_bf16
from .transformer import Transformer

# Rows that the layout is chosen for: those of one short text, where it counts.
TYPICAL_ROWS = 48


class PackedLinear(nn.Module):
    """A linear layer for inference on a processor, to the bit the same.

    linear (Linear): The layer.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        # Opaque: it has no strides, cannot be saved, and is read by oneDNN alone.
        self.packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), TYPICAL_ROWS)
        self.bias = linear.bias

    def forward(self, rows: Tensor) -> Tensor:
        """RETURNS (Tensor): (rows, outputs), from (rows, inputs)."""
        return cast(Tensor, torch.ops.mkldnn._linear_pointwise(rows, self.packed, self.bias, "none", [], ""))


def can_pack(weight: Tensor) -> bool:
    """RETURNS (bool): Whether this build of torch has a layout for a weight, by its device and dtype."""
    if weight.device.type != "cpu" or weight.dtype != torch.bfloat16:
        return False
    # Where bf16 is emulated there is no layout for it.
    return has_native_bf16(weight.device) and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def pack_linears(encoder: Encoder) -> Encoder:
    """Pack the linear layers of an encoder that is to predict, where the device and this build of torch can.

    encoder (Encoder): The encoder, in a dtype for inference; it is changed, and cannot be saved or trained afterwards.
    RETURNS (Encoder): The same.
    """
    if not can_pack(next(encoder.parameters())):
        return encoder
    for part in (encoder.network if isinstance(encoder.network, Transformer) else None, encoder.memory):
        for module in list(part.modules()) if part is not None else ():
            for name, child in list(module.named_children()):
                if isinstance(child, nn.Linear):
                    module._modules[name] = PackedLinear(child)
    return encoder
