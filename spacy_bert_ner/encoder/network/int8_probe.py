"""Whether this processor multiplies int8 right.

Without instructions that sum four products in 32 bits (VNNI) oneDNN sums two of them in 16 bits, which hold 32,767 of
the 2 · 255 · 127 = 64,770 that there may be, and says nothing: 64 inputs of 255 by weights of 127 give 1,048,544
instead of 2,072,640. What torch says of the processor is no help, as a limit on oneDNN is not seen there. So the real
operator is asked, once in a process, for products whose exact values are known.
"""

import functools
import warnings

import torch
from torch import Tensor

from .int8 import Int8Linear

# Rows and inputs: one text's and a batch's, as oneDNN may have other programs for them; not all of round sizes.
SHAPES = ((1, 64), (48, 384), (272, 100))
OUTPUTS = 48


@functools.cache
def find_int8_obstacle() -> str:
    """Say what keeps this processor from int8.

    RETURNS (str): What was found, or "" where all products are exact.
    """
    # It warns, once in a process, of a function that a later torch may have no more; that case is provided for.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for rows, inputs in SHAPES:
                found, expected = multiply_extremes(rows, inputs)
                if not torch.equal(found, expected):
                    at = int((found - expected).abs().argmax())
                    return (
                        f"a product of integers is {found.flatten()[at]:,.0f} where {expected.flatten()[at]:,.0f} is "
                        "right: its instructions sum in 16 bits (no VNNI)"
                    )
        # Of whatever class: torch is built without it, has dropped or changed it.
        except (AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
            return f"torch {torch.__version__} cannot: {error}"
    return ""


def multiply_extremes(rows: int, inputs: int) -> tuple[Tensor, Tensor]:
    """Multiply the largest codes by the largest weights of either sign.

    rows, inputs (int): The product's shape.
    RETURNS (tuple[Tensor, Tensor]): (rows, OUTPUTS), fp32, which holds such integers: found, and by integers.
    """
    weight = torch.full((OUTPUTS, inputs), 127, dtype=torch.int8)
    weight[1::3] = -127
    weight[2::3, ::2] = -127
    codes = torch.full((rows, inputs), 255, dtype=torch.uint8)
    codes[1::2, ::3] = 0
    parts = {
        "weight": weight,
        "weight_scale": torch.ones(OUTPUTS),
        "bias": torch.zeros(OUTPUTS),
        "input_scale": torch.tensor(1.0),
        "input_zero_point": torch.tensor(0),
    }
    linear = Int8Linear(parts, torch.float32)
    # By way of floats, so that quantization is tried, too.
    found = linear.add_to(linear(codes.float()), codes)
    exact = 2 * (codes.long() @ weight.long().T)
    return found, exact.float()
