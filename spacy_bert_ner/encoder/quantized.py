"""How an encoder in int8 is saved, and built again: in int8, or in floats where those are wanted.

expand.weight              int8, (outputs, inputs)      a linear layer: the weight, times what smoothing divides by
expand.weight_scale        fp32, (outputs,)
expand.input_scale         fp32, one number             of its input's codes: (code - zero point) * scale
expand.input_zero_point    int32, one number
expand.smoothing           fp32, (inputs,)              where its input is divided by this first
embeddings.words.weight    int8 and weight_scale, a row each; or fp16
anything else              fp16 (weights of linear layers, embeddings), fp32 (biases, norms)
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .building import check_names, fill
from .network.int8 import ShortEmbedding
from .network.int8_layers import Int8Layer, Int8Memory
from .network.kinds import NetworkShape
from .network.memory import DocumentMemory
from .network.module import Encoder
from .network.transformer import Layer, Transformer

# The linear layers, by the last part of their names; and the table of the words' embeddings.
LINEARS = ("qkv", "mix", "expand", "contract", "compare", "add")
WORD_EMBEDDINGS = "network.embeddings.words"
# What stands beside an int8 weight.
SCALE, INPUT_SCALE, ZERO_POINT, SMOOTHING = "weight_scale", "input_scale", "input_zero_point", "smoothing"
BESIDE = (SCALE, INPUT_SCALE, ZERO_POINT, SMOOTHING)


class Dequantized(Mapping[str, Tensor]):
    """The weights of an encoder in int8 as floats, each made when it is asked for.

    state (Mapping[str, Tensor]): As it is saved.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._state = state
        self._names = dict.fromkeys(name for name in state if name.rpartition(".")[2] not in BESIDE)

    def __contains__(self, name: object) -> bool:
        # A Mapping would make the floats to find out.
        return name in self._names

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        tensor, place = self._state[name], name.removesuffix("weight")
        if tensor.dtype != torch.int8:
            return tensor
        floats = tensor.float() * self._state[f"{place}{SCALE}"][:, None]
        return floats / self._state[f"{place}{SMOOTHING}"] if f"{place}{SMOOTHING}" in self._state else floats

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def build_int8(
    config: dict[str, Any],
    *,
    case_features: bool,
    document_memory: bool,
    state: Mapping[str, Tensor],
    dtype: torch.dtype,
) -> Encoder:
    """Build an encoder that computes in int8; it cannot be trained or saved.

    config (dict[str, Any]): The transformer's config.json, of a kind that is ours.
    case_features, document_memory (bool): See Encoder.
    state (Mapping[str, Tensor]): The weights, as the module says.
    dtype (torch.dtype): Of attention, and of what is not in int8.
    RETURNS (Encoder): In evaluation mode, on the CPU.
    RAISES: ValueError where weights are missing, are too many, or have another shape; KeyError for scales.
    """
    shape = NetworkShape.of(config)
    with torch.device("meta"):
        network = Transformer(shape)
        encoder = Encoder(network, config, case_features, document_memory)
    names = {name: [name] for name, _ in encoder.named_parameters()}
    check_names(names, Dequantized(state))
    apart = {place for place, _ in linears_of(encoder)} | {WORD_EMBEDDINGS}
    fill(
        encoder,
        {name: own for name, own in names.items() if name.rpartition(".")[0] not in apart},
        state,
        torch.float32,
    )
    for place, module in find_holders(encoder):
        parts = {name: take_parts(encoder, f"{place}.{name}", state) for name, _ in linears_of(module)}
        if isinstance(module, Layer):
            index = int(place.rpartition(".")[2])
            network.layer[index] = Int8Layer(module, shape.activation, parts, dtype)
        else:
            encoder.memory = Int8Memory(parts, dtype)
    words = take_parts(encoder, WORD_EMBEDDINGS, state)
    network.embeddings._modules["words"] = ShortEmbedding(words["weight"], words.get(SCALE))
    return encoder.requires_grad_(False).eval()


def find_holders(encoder: Encoder) -> list[tuple[str, Layer | DocumentMemory]]:
    """RETURNS (list): The modules whose linear layers may be in int8, by their names."""
    return [(name, part) for name, part in encoder.named_modules() if isinstance(part, Layer | DocumentMemory)]


def linears_of(module: nn.Module) -> list[tuple[str, nn.Linear]]:
    """RETURNS (list[tuple[str, Linear]]): A module's linear layers that may be in int8, by their names in it."""
    return [
        (name, part)
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear) and name.rpartition(".")[2] in LINEARS
    ]


def take_parts(encoder: Encoder, place: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take what belongs to a layer.

    encoder (Encoder): Where its shapes are.
    place (str): The layer's name.
    state (Mapping[str, Tensor]): The weights.
    RETURNS (dict[str, Tensor]): Its tensors by the last parts of their names.
    RAISES: ValueError where one has another shape than it should have; KeyError where one is missing.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in encoder.get_submodule(place).named_parameters()}
    rows, columns = expected["weight"]
    found = {name: state[f"{place}.{name}"] for name in expected}
    if found["weight"].dtype == torch.int8:
        expected[SCALE] = (rows,)
        if "bias" in expected:
            expected |= {INPUT_SCALE: (), ZERO_POINT: ()}
            if f"{place}.{SMOOTHING}" in state:
                expected[SMOOTHING] = (columns,)
        found = {name: state[f"{place}.{name}"] for name in expected}
    for name, shape in expected.items():
        if tuple(found[name].shape) != shape:
            raise ValueError(f"{place}.{name} has the shape {tuple(found[name].shape)}, expected {shape}")
    return found
