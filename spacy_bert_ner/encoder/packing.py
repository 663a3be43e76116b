"""Linear layers for inference, their weights laid out beforehand as the processor's matrix instructions read them.

oneDNN lays a weight out anew at every call, which for one short text takes as long as a quarter of the products
themselves; and it applies the activation to the products before they are rounded to bf16, which saves a pass over them.
"""

import torch
from torch import Tensor, nn

from .module import Encoder
from .network import Transformer

# How oneDNN calls the activations of network.ACTIVATIONS: an operation and its algorithm.
ACTIVATIONS = {"none": ("gelu", "none"), "tanh": ("gelu", "tanh"), "relu": ("relu", ""), "silu": ("swish", "")}
# Rows that the layout is chosen for: those of one short text, where it counts.
TYPICAL_ROWS = 48


class PackedLinear(nn.Module):
    """A linear layer, and what follows it, for inference on a processor.

    linear (Linear): The layer.
    activation (tuple[str, str]): oneDNN's operation and algorithm; "none" for no activation.
    """

    def __init__(self, linear: nn.Linear, activation: tuple[str, str] = ("none", "")) -> None:
        super().__init__()
        # Opaque: it has no strides, cannot be saved, and is read by oneDNN alone.
        self.packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), TYPICAL_ROWS)
        self.bias = linear.bias
        self.operation, self.algorithm = activation

    def forward(self, rows: Tensor) -> Tensor:
        """RETURNS (Tensor): (rows, outputs), from (rows, inputs)."""
        return torch.ops.mkldnn._linear_pointwise(rows, self.packed, self.bias, self.operation, [], self.algorithm)


def pack(encoder: Encoder) -> Encoder:
    """Pack the linear layers of an encoder that is to predict, where the device and this build of torch can.

    encoder (Encoder): The encoder, in a dtype for inference; it is changed, and cannot be saved or trained afterwards.
    RETURNS (Encoder): The same.
    """
    network = encoder.network
    weight = next(encoder.parameters())
    if not isinstance(network, Transformer) or weight.device.type != "cpu" or weight.dtype != torch.bfloat16:
        return encoder
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return encoder
    for layer in network.layer:
        for name in ("qkv", "mix"):
            layer.attention[name] = PackedLinear(layer.attention[name])
        layer.expand = PackedLinear(layer.expand, ACTIVATIONS[network.shape.activation])
        layer.activation = nn.Identity()
        layer.contract = PackedLinear(layer.contract)
    if encoder.memory is not None:
        encoder.memory.compare = PackedLinear(encoder.memory.compare, ACTIVATIONS["none"])
        encoder.memory.activation = nn.Identity()
        encoder.memory.add = PackedLinear(encoder.memory.add)
    return encoder
