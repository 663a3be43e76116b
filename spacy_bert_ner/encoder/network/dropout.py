"""Dropout at a fraction of the cost of torch's own on a processor: to the nearest 256th, eight random bytes a draw."""

import torch
from torch import Tensor


def drop_out(rows: Tensor, rate: float, training: bool) -> Tensor:
    """Set a share of values to zero (Srivastava et al. 2014).

    rows (Tensor): Any values.
    rate (float): The share, which is rounded to a 256th.
    training (bool): Whether to do it at all.
    RETURNS (Tensor): The others multiplied so that the expected sum stays.
    """
    if not training or not round(256 * rate):
        return rows
    if rows.device.type != "cpu":
        return torch.nn.functional.dropout(rows, rate)
    return rows * keep_mask(draw_bytes(rows), rate, rows.dtype)


def draw_bytes(values: Tensor) -> Tensor:
    """RETURNS (Tensor): A random byte for each value, in the values' shape."""
    # Eight from each random number, of which all 64 bits are drawn.
    numbers = torch.empty(-(-values.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    return numbers.view(torch.uint8)[: values.numel()].view(values.shape)


def keep_mask(drawn: Tensor, rate: float, dtype: torch.dtype) -> Tensor:
    """Make the mask that dropout multiplies values by.

    drawn (Tensor): Random bytes, of any shape.
    rate (float): The share that is dropped.
    dtype (torch.dtype): The values' dtype.
    RETURNS (Tensor): Zero, or what keeps the expected sum, in the bytes' shape.
    """
    # Never all: there would be nothing left to carry the sum.
    dropped = min(round(256 * rate), 255)
    return (drawn >= dropped).to(dtype) * (256 / (256 - dropped))
