"""Ranges of inputs in int8: where to cut off what is rare and far out, so that the rest gets finer steps."""

from collections.abc import Mapping

import torch
from torch import Tensor

from .observing import InputStatistics
from .quantizing import InputRange

# How ranges are found: all that was seen; all but one value in 10,000; what gives the smallest mean squared error; all
# that was seen once channels were evened out (Xiao et al. 2023, SmoothQuant), and the smallest error elsewhere.
METHODS = ("bounds", "percentile", "squared error", "smoothing")
# Smoothing multiplies an input more, 2 % of a forward pass: tags must move by so much less for it. In nats a token; of
# half of it no F1 fell, with three seeds of a MiniLM.
SMOOTHING_GAIN = 0.0005
PERCENTILE = 0.9999
# Shares of the bounds that are tried for the smallest error; of the upper one alone, too, as there is next to nothing
# below 0 behind an activation.
SHARES = [0.3 + 0.025 * i for i in range(29)]
PAIRS = [(share, share) for share in SHARES] + [(1.0, share) for share in SHARES]
# Layers behind a norm, where a channel may be far larger than the others. The others' inputs are of attention or made
# by the layer before, as codes.
SMOOTHED = ("qkv", "expand", "compare")


def choose_method(moved: Mapping[str, float]) -> str:
    """Choose how ranges are found.

    moved (Mapping[str, float]): By method, how far it moves the tags. In nats a token
    RETURNS (str): The method that moves them least, smoothing only where that is by far.
    """
    return min(moved, key=lambda method: moved[method] + SMOOTHING_GAIN * (method == "smoothing"))


def find_ranges(
    seen: Mapping[str, InputStatistics], weights: Mapping[str, Tensor], method: str
) -> dict[str, InputRange]:
    """Find the range of each layer's inputs.

    seen (Mapping[str, InputStatistics]): The inputs, by the layers' names.
    weights (Mapping[str, Tensor]): The layers' weights, (outputs, inputs).
    method (str): One of METHODS.
    RETURNS (dict[str, InputRange]): By the layers' names.
    """
    return {name: find_range(own, weights[name], method, name.rpartition(".")[2]) for name, own in seen.items()}


def find_range(seen: InputStatistics, weight: Tensor, method: str, part: str) -> InputRange:
    """RETURNS (InputRange): Of one layer's inputs: see find_ranges. part (str): The last part of its name."""
    low, high = float(seen.low.min()), float(seen.high.max())
    if method == "percentile":
        ordered = seen.rows.flatten().sort().values
        low, high = (float(ordered[int(share * (len(ordered) - 1))]) for share in (1 - PERCENTILE, PERCENTILE))
    elif method == "smoothing" and part in SMOOTHED:
        smoothing = even_out(seen, weight)
        return InputRange(float((seen.low / smoothing).min()), float((seen.high / smoothing).max()), smoothing)
    elif method in ("squared error", "smoothing"):
        values = seen.rows.flatten()
        tried = [InputRange(low * below, high * above) for below, above in PAIRS]
        return min(tried, key=lambda one: _error(values, one))
    return InputRange(low, high)


def even_out(seen: InputStatistics, weight: Tensor) -> Tensor:
    """RETURNS (Tensor): (inputs,) what channels are divided by: halfway between the input's and the weight's sizes."""
    given = torch.maximum(seen.high.abs(), seen.low.abs()).clamp(min=1e-5)
    taken = weight.abs().amax(0).clamp(min=1e-5)
    return (given / taken).sqrt().clamp(min=1e-5)


def _error(values: Tensor, one: InputRange) -> float:
    codes = torch.round(values / one.scale + one.zero_point).clamp(0, 255)
    return float(((codes - one.zero_point) * one.scale - values).square().mean())
