"""Dropout at a fraction of the cost of torch's own: the share to the nearest 256th, eight values' fates a draw."""

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
    return rows * kept(draw_fates(rows), rate, rows.dtype)


def draw_fates(values: Tensor) -> Tensor:
    """RETURNS (Tensor): A random byte for each value, in the values' shape."""
    # Eight from each random number, of which all 64 bits are drawn.
    numbers = torch.empty(-(-values.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    return numbers.view(torch.uint8)[: values.numel()].view(values.shape)


def kept(fates: Tensor, rate: float, dtype: torch.dtype) -> Tensor:
    """Say what dropout multiplies values by.

    fates (Tensor): Random bytes, of any shape.
    rate (float): The share that is dropped.
    dtype (torch.dtype): The values' number type.
    RETURNS (Tensor): Zero, or what keeps the expected sum, in the fates' shape.
    """
    # Never all: there would be nothing left to carry the sum.
    dropped = min(round(256 * rate), 255)
    return (fates >= dropped).to(dtype) * (256 / (256 - dropped))
