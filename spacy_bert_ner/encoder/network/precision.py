"""Which dtype the encoder computes in, what the device multiplies natively, and how fp16 keeps its gradients."""

import copy
import platform
from typing import TypeVar

import torch
from torch import nn

from spacy_bert_ner.encoder.choices import Precision

ModuleT = TypeVar("ModuleT", bound=nn.Module)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Turn the setting into a dtype.

    precision (str): "auto", "fp32", "bf16", "fp16" or "int8". "auto" is bf16 where the device multiplies it natively,
        else fp32; so is "int8", in all that stays in floats.
    device (torch.device): Where the encoder runs.
    RETURNS (torch.dtype): Of the encoder's matrix products.
    """
    if precision in ("auto", "int8"):
        return torch.bfloat16 if has_native_bf16(device) else torch.float32
    return DTYPES[precision]


def copy_in_dtype(module: ModuleT, dtype: torch.dtype) -> ModuleT:
    """Copy a module for inference in another dtype.

    module (Module): Any module.
    dtype (torch.dtype): Of the copy's parameters; buffers stay as they are, since rotary frequencies would turn whole
        windows by the rounding of a short dtype.
    RETURNS (Module): The copy, in evaluation mode; its parameters take no gradients.
    """
    # Told that they are copied already, deepcopy takes the cast tensors in the others' place.
    copied = {id(param): nn.Parameter(param.detach().to(dtype), requires_grad=False) for param in module.parameters()}
    return copy.deepcopy(module, copied).eval()


def has_native_bf16(device: torch.device) -> bool:
    """Say whether a device multiplies bf16 in hardware; elsewhere it is emulated, far slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and platform.machine().lower() in ("arm64", "aarch64"):
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if device.type == "cpu":
        # oneDNN calls bf16 supported from avx512 on, where it is emulated: the instructions came later. But it alone
        # heeds ONEDNN_MAX_CPU_ISA.
        there = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return bool(there and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


class LossScale:
    """Keeps fp16's gradients within its range (Micikevicius et al. 2018).

    It grows after many steps, and shrinks after one whose gradients overflow.

    value (float): What gradients are multiplied by on their way through the encoder.
    steps (int): Steps since it changed, or a multiple of those after which it grows.
    """

    def __init__(self) -> None:
        self.value = 2.0**16
        self.steps = 0

    def take_out(self, params: list[nn.Parameter]) -> bool:
        """Divide gradients by the scale, and adapt it. RETURNS: Whether all of them are finite."""
        grads = [param.grad for param in params if param.grad is not None]
        for grad in grads:
            grad.div_(self.value)
        finite = not grads or bool(torch.isfinite(torch.nn.utils.get_total_norm(grads)))
        self.steps = self.steps + 1 if finite else 0
        if not finite:
            self.value /= 2
        elif self.steps % 2000 == 0:
            self.value *= 2
        return finite
