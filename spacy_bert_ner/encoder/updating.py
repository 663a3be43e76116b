"""How training runs an encoder forward and back, and how its gradients reach the optimizer."""

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast

import torch
from thinc.api import Optimizer, torch2xp, xp2torch
from thinc.types import FloatsXd
from torch import Tensor

from .network.module import Encoder
from .network.precision import LossScale

NO_GRADIENT = (
    "The encoder is not trained: it received no gradient in the last {count} updates. Only the last component that "
    "listens to it sends one, and that component is frozen or left out of training here. Put it before the components "
    'that are trained, or detach it: [components.NAME] replace_listeners = ["model.tok2vec"]. To freeze the encoder on '
    "purpose, set trainable = false in its own section of the config, or add its component to [training] "
    "frozen_components and annotating_components."
)


class Updates:
    """The updates of one encoder, and what they remember from one to the next."""

    def __init__(self) -> None:
        self._loss_scale = LossScale()
        self._unanswered = 0

    def begin(
        self, encoder: Encoder, dtype: torch.dtype, run: Callable[[Encoder], Tensor]
    ) -> tuple[Tensor, Callable[[Tensor], None]]:
        """Run the module in training mode; otherwise it stays in evaluation mode.

        encoder (Encoder): The module with fp32 weights.
        dtype (torch.dtype): Of the matrix products, by autocast.
        run (Callable[[Encoder], Tensor]): What to do with the module.
        RETURNS (tuple[Tensor, Callable[[Tensor], None]]): Its result in fp32, and a callback that takes the result's
            gradient and adds to the weights' gradients.
        """
        # Twice in a row, as an error may have come in between once.
        if self._unanswered == 2:
            warnings.warn(NO_GRADIENT.format(count=self._unanswered), stacklevel=3)
        self._unanswered += 1
        device = next(encoder.parameters()).device
        autocast = nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)
        encoder.train()
        try:
            with autocast:
                output = run(encoder).float()
        finally:
            encoder.eval()
        # Only fp16's range is so small that gradients vanish in it.
        scale = self._loss_scale.value if dtype == torch.float16 else 1.0

        def backprop(d_output: Tensor) -> None:
            self._unanswered = 0
            # Where all layers are frozen and nothing is newly initialised, there is nothing to send it back to.
            if output.requires_grad:
                torch.autograd.backward(output, d_output * scale if scale != 1.0 else d_output)

        return output, backprop

    def finish(self, encoder: Encoder, dtype: torch.dtype, owner: int, optimizer: Optimizer) -> None:
        """Give every weight that has a gradient to the optimizer, and drop the gradients.

        encoder (Encoder): The module.
        dtype (torch.dtype): As in `begin`.
        owner (int): The id by which the optimizer knows the encoder.
        optimizer (Optimizer): One of thinc's, or ours.
        """
        named = [(name, param) for name, param in encoder.named_parameters() if param.grad is not None]
        if dtype != torch.float16 or self._loss_scale.take_out([param for _, param in named]):
            # An optimizer of torch tensors may keep the gradients, which are given away: no copies.
            take = getattr(optimizer, "take", None)
            for name, param in named:
                if take is not None:
                    take((owner, name), param.data, param.grad, is_new=name in encoder.new_parameters)
                    continue
                weights, _ = optimizer(
                    (owner, name),
                    cast(FloatsXd, torch2xp(param.data)),
                    cast(FloatsXd, torch2xp(cast(Any, param.grad))),
                )
                changed = xp2torch(weights, device=param.device)
                if changed.data_ptr() != param.data_ptr():
                    param.data.copy_(changed)
        for _, param in named:
            param.grad = None

    def state(self) -> list[float]:
        """RETURNS (list[float]): What fp16's gradients are multiplied by, and the steps since it changed."""
        return [self._loss_scale.value, self._loss_scale.steps]

    def load_state(self, state: list[float]) -> None:
        """Restore what `state` gave."""
        self._loss_scale.value, self._loss_scale.steps = state[0], int(state[1])
