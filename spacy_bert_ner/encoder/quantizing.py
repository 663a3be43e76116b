"""Weights to int8: what is saved of an encoder whose linear layers multiply integers (quantized.py)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .network.int8 import HIGHEST, LOWEST
from .network.layers import Embedding
from .network.module import Encoder
from .quantized import INPUT_SCALE, SCALE, SMOOTHING, WORD_EMBEDDINGS, ZERO_POINT, linears_of

# Of weights: symmetric, without the lowest code.
LARGEST = 127
# Of inputs: below it are layers that are given next to nothing but zeros.
SMALLEST_SCALE = 1e-12


@dataclass(frozen=True, eq=False)
class InputRange:
    """What a linear layer's input is quantized by.

    low, high (float): What the first and the last code stand for, before 0 is made one of the codes.
    smoothing (Tensor | None): What the input's channels are divided by first. (inputs,)
    """

    low: float
    high: float
    smoothing: Tensor | None = None

    @property
    def scale(self) -> float:
        """RETURNS (float): What one code is worth."""
        scale = (max(self.high, 0.0) - min(self.low, 0.0)) / (HIGHEST - LOWEST)
        # A smaller one could be zero in fp32, and a division by it infinite.
        return scale if scale > SMALLEST_SCALE else 1.0

    @property
    def zero_point(self) -> int:
        """RETURNS (int): The code of 0, which is exact."""
        return round(LOWEST - min(self.low, 0.0) / self.scale)


def quantize_encoder(encoder: Encoder, ranges: Mapping[str, InputRange], *, short_words: bool) -> dict[str, Tensor]:
    """Quantize the weights of an encoder.

    encoder (Encoder): The encoder, of a kind that is ours, in fp32.
    ranges (Mapping[str, InputRange]): Of the linear layers' inputs, by the layers' names; others stay in floats.
    short_words (bool): Whether the words' embeddings are int8, else fp16.
    RETURNS (dict[str, Tensor]): What is saved: see quantized.py.
    """
    state = {name: tensor.detach().cpu() for name, tensor in encoder.state_dict().items()}
    floats = [f"{name}.weight" for name, module in encoder.named_modules() if isinstance(module, Embedding)]
    floats += [f"{name}.weight" for name, _ in linears_of(encoder)]
    made = {name: tensor.half() if name in floats else tensor for name, tensor in state.items()}
    for place, own in ranges.items():
        weight = state[f"{place}.weight"]
        if own.smoothing is not None:
            weight = weight * own.smoothing
            made[f"{place}.{SMOOTHING}"] = own.smoothing
        made[f"{place}.weight"], made[f"{place}.{SCALE}"] = quantize_rows(weight)
        made[f"{place}.{INPUT_SCALE}"] = torch.tensor(own.scale, dtype=torch.float32)
        made[f"{place}.{ZERO_POINT}"] = torch.tensor(own.zero_point, dtype=torch.int32)
    if short_words:
        made[f"{WORD_EMBEDDINGS}.weight"], made[f"{WORD_EMBEDDINGS}.{SCALE}"] = quantize_rows(
            state[f"{WORD_EMBEDDINGS}.weight"]
        )
    return made


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Quantize each row by its largest value.

    weight (Tensor): (rows, columns), fp32.
    RETURNS (tuple[Tensor, Tensor]): (rows, columns), int8, and (rows,), fp32: what a code of each row is worth.
    """
    scale = weight.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / LARGEST
    codes = torch.round(weight / scale[:, None]).clamp_(-LARGEST, LARGEST)
    return codes.to(torch.int8), scale
