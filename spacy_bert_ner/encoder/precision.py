"""Which number type the encoder computes in: what the device multiplies natively."""

import platform
from typing import Literal, get_args

import torch

Precision = Literal["auto", "fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Turn the setting into a number type.

    precision (str): "auto", "fp32", "bf16" or "fp16". "auto" is bf16 where the device multiplies it natively,
        else fp32.
    device (torch.device): Where the encoder runs.
    RETURNS (torch.dtype): The type of the encoder's matrix products.
    RAISES: ValueError for another setting.
    """
    if precision not in get_args(Precision):
        raise ValueError(
            f"[components.transformer.model] precision = {precision!r}: expected one of "
            f"{', '.join(get_args(Precision))}"
        )
    if precision == "auto":
        return torch.bfloat16 if has_native_bf16(device) else torch.float32
    return DTYPES[precision]


def has_native_bf16(device: torch.device) -> bool:
    """Say whether a device multiplies bf16 in hardware; elsewhere it is emulated, far slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and platform.machine().lower() in ("arm64", "aarch64"):
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if device.type == "cpu":
        # oneDNN calls bf16 supported from avx512 on, where it is emulated: the instructions came later.
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False
