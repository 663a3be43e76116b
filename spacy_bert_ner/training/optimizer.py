"""AdamW with one step for all parameters, for `spacy train` with any pipeline.

thinc's optimizers see one parameter at a time, and so cannot clip by the norm of the whole gradient; on a CPU they
also step torch's parameters one by one through NumPy. This one collects the parameters that spaCy's training loop
passes, and updates all of them at the end of the step, which that loop marks by `step_schedules()`, with torch's
fused kernels and in place.

Code that never calls `step_schedules()`, such as a script around `nlp.update(..., sgd=optimizer)`, has no such mark.
There, and in the first step of a run, each parameter is updated at once, and clipped by its own norm.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import torch
from thinc.api import Optimizer, xp2torch
from thinc.optimizers import FloatOrSeq
from thinc.types import FloatsXd
from torch import Tensor
from torch.optim.adamw import adamw

from spacy_bert_ner.checks import check_number
from spacy_bert_ner.encoder.freezing import layer_of

Key = tuple[int, str]

# Fields of Parameter that are saved.
MOMENTS = ("mean", "square", "steps")

NOT_NEGATIVE = (lambda x: 0 <= x < math.inf), "a number of at least 0"
BELOW_ONE = (lambda x: 0 <= x < 1), "a number of at least 0 and below 1"
# In the order of build_adamw's arguments.
RANGES: Mapping[str, tuple[Callable[[float], bool], str]] = MappingProxyType(
    {
        "head_factor": NOT_NEGATIVE,
        "layer_decay": ((lambda x: 0 < x <= 1), "a number above 0 and at most 1"),
        "beta1": BELOW_ONE,
        "beta2": BELOW_ONE,
        "eps": ((lambda x: 0 < x < math.inf), "a number above 0"),
        "weight_decay": NOT_NEGATIVE,
        "grad_clip": NOT_NEGATIVE,
    }
)


@dataclass
class Parameter:
    """A parameter and its optimizer state.

    weights (Tensor): The parameter, updated in place.
    mean, square (Tensor): Adam's moments.
    steps (Tensor): () number of updates.
    decays (bool): Whether weight decay applies to it: not to vectors, which are biases and norms.
    layer (int): Which of its encoder's layers it belongs to; -1 for none.
    is_new (bool): Whether it is newly initialised.
    """

    weights: Tensor
    mean: Tensor
    square: Tensor
    steps: Tensor
    decays: bool
    layer: int
    is_new: bool


def build_adamw(
    learn_rate: FloatOrSeq = 5e-5,
    head_factor: float = 1.0,
    layer_decay: float = 1.0,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    grad_clip: float = 1.0,
) -> "AdamW":
    """Make an AdamW optimizer (Loshchilov & Hutter 2019).

    learn_rate (float | schedule): Learning rate of the encoder's last layer.
    head_factor (float): What the learning rate is multiplied by for newly initialised parameters: those outside a
        torch encoder, and an encoder's case features and memory.
    layer_decay (float): What it is multiplied by for each layer further from the head (Clark et al. 2020, ELECTRA).
    beta1, beta2, eps (float): Adam's.
    weight_decay (float): Decoupled decay; none on vectors, which are biases and norms.
    grad_clip (float): Maximum norm of the gradient over all parameters; 0 switches clipping off.
    RETURNS (AdamW): The optimizer.
    RAISES: ValueError for a setting out of range.
    """
    values = (head_factor, layer_decay, beta1, beta2, eps, weight_decay, grad_clip)
    for (name, (holds, expected)), value in zip(RANGES.items(), values, strict=True):
        check_number("training.optimizer", name, value, holds, expected)
    if isinstance(learn_rate, int | float):
        check_number("training.optimizer", "learn_rate", learn_rate, *NOT_NEGATIVE)
    return AdamW(
        learn_rate,
        head_factor=head_factor,
        layer_decay=layer_decay,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        weight_decay=weight_decay,
        grad_clip=grad_clip,
    )


class AdamW(Optimizer):
    """See build_adamw for the arguments."""

    def __init__(
        self,
        learn_rate: FloatOrSeq,
        *,
        head_factor: float,
        layer_decay: float,
        beta1: float,
        beta2: float,
        eps: float,
        weight_decay: float,
        grad_clip: float,
    ) -> None:
        super().__init__(
            learn_rate, L2=weight_decay, beta1=beta1, beta2=beta2, eps=eps, grad_clip=grad_clip, use_averages=False
        )
        self.head_factor = head_factor
        self.layer_decay = layer_decay
        self._known: dict[Key, Parameter] = {}
        self._pending: dict[Key, Tensor] = {}
        self._deferring = False
        self._deepest = -1
        self._restored: dict[str, Tensor] = {}
        self._names: dict[Key, str] = {}

    def __call__(
        self, key: Key, weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> tuple[FloatsXd, FloatsXd]:
        """Take one parameter's gradient, and update the parameter now or at the end of the step.

        key (tuple[int, str]): The id of the model or shim, and the parameter's name.
        weights (FloatsXd): The parameter; it is changed in place.
        gradient (FloatsXd): Its gradient; it is set to zero.
        lr_scale (float): Multiplies the gradient's step; only 1 is supported, which is what spaCy and thinc send.
        RETURNS (tuple[FloatsXd, FloatsXd]): The same two arrays.
        """
        if lr_scale != 1.0:
            raise ValueError(f"spacy-bert-ner.AdamW.v1 has no lr_scale other than 1, found {lr_scale}")
        # A copy: the caller zeroes the gradient right away, or writes the next one into it.
        moved, wanted = xp2torch(weights).detach(), xp2torch(gradient).detach().clone()
        # thinc's own parameters, those of a head, have plain names; a pretrained torch module's have dotted ones.
        self.take(key, moved, wanted, is_new="." not in key[1])
        # Not multiplied by zero, which would keep NaN.
        cast(Any, gradient)[...] = 0
        return weights, gradient

    def take(self, key: Key, weights: Tensor, gradient: Tensor, *, is_new: bool) -> None:
        """Do as `__call__` does, with torch's tensors and without a copy: the optimizer takes over the gradient.

        key (tuple[int, str]): The id of the model or shim, and the parameter's name.
        weights (Tensor): The parameter; it is changed in place.
        gradient (Tensor): Its gradient, which the caller must not use any more.
        is_new (bool): Whether the parameter is newly initialised, so that `head_factor` applies to it.
        """
        if key in self._pending:
            # A new step has started without a mark of the last one's end: this is not spaCy's training loop.
            self._step(self._pending)
            self._pending = {}
            self._deferring = False
        self._register(key, weights, decays=weights.ndim > 1, is_new=is_new)
        if gradient.stride() != weights.stride():
            # The kernel reads both in memory order.
            gradient = torch.empty_like(weights).copy_(gradient)
        if self._deferring:
            self._pending[key] = gradient
        else:
            self._step({key: gradient})

    def step_schedules(self) -> None:
        """End a step: update every parameter that has a gradient, then advance the schedules."""
        if self._pending:
            self._step(self._pending)
            self._pending = {}
        self._deferring = True
        super().step_schedules()

    def state_dict(self, names: Mapping[Key, str]) -> dict[str, Tensor]:
        """Return Adam's moments and steps, for `load_state_dict` in another process.

        names (Mapping[Key, str]): A name for each parameter that is the same in every process, as its key is not.
        RETURNS (dict[str, Tensor]): By "FIELD/NAME", not copied.
        """
        if self._pending:
            raise ValueError("The optimizer is in the middle of a step: its state can be saved after step_schedules()")
        # What was restored and has not been updated since is known by name alone.
        state = dict(self._restored)
        for key, parameter in self._known.items():
            state |= {f"{field}/{names[key]}": getattr(parameter, field) for field in MOMENTS}
        return state

    def load_state_dict(self, state: Mapping[str, Tensor], names: Mapping[Key, str]) -> None:
        """Restore what `state_dict` gave, also in a new process, whose steps are assumed to end with step_schedules().

        state (Mapping[str, Tensor]): The state.
        names (Mapping[Key, str]): The parameters' names, by this process's keys.
        """
        self._deferring = True
        self._restored = dict(state)
        self._names = dict(names)

    def _register(self, key: Key, weights: Tensor, *, decays: bool, is_new: bool) -> None:
        """Register a parameter; its moments are kept as long as its shape stays."""
        known = self._known.get(key)
        if known is not None and known.weights.shape == weights.shape:
            known.weights = weights
            return
        parameter = self._known[key] = Parameter(
            weights,
            torch.zeros_like(weights),
            torch.zeros_like(weights),
            torch.zeros((), device=weights.device),
            decays=decays,
            layer=layer_of(key[1]),
            is_new=is_new,
        )
        self._deepest = max(self._deepest, parameter.layer)
        name = self._names.get(key)
        for field in MOMENTS:
            saved = self._restored.pop(f"{field}/{name}", None)
            if saved is not None:
                self._restore(key, parameter, field, saved)

    def _restore(self, key: Key, parameter: Parameter, field: str, saved: Tensor) -> None:
        """Restore one of MOMENTS."""
        getattr(parameter, field).copy_(saved)

    def _step(self, gradients: dict[Key, Tensor]) -> None:
        """Clip gradients by their common norm, and update their parameters."""
        norm = torch.nn.utils.get_total_norm(gradients.values()) if self.grad_clip else None
        self._move(gradients, norm)

    def _move(self, gradients: dict[Key, Tensor], norm: Tensor | None) -> None:
        """Update parameters, given the norm of all gradients; None where they are not clipped."""
        scale = None
        if norm is not None:
            # The kernel divides by this, which saves a pass over all gradients.
            scale = ((norm + 1e-6) / float(self.grad_clip)).clamp(min=1.0)
        groups: dict[tuple[torch.device, float, float], list[tuple[Parameter, Tensor]]] = {}
        for key, gradient in gradients.items():
            parameter = self._known[key]
            decay = float(self.L2) if parameter.decays else 0.0
            group = (parameter.weights.device, self._factor(parameter), decay)
            groups.setdefault(group, []).append((parameter, gradient))
        for (_, factor, decay), members in groups.items():
            adamw(
                [parameter.weights for parameter, _ in members],
                [gradient for _, gradient in members],
                [parameter.mean for parameter, _ in members],
                [parameter.square for parameter, _ in members],
                [],
                [parameter.steps for parameter, _ in members],
                fused=True,
                grad_scale=scale,
                amsgrad=False,
                beta1=float(self.b1),
                beta2=float(self.b2),
                lr=float(self.learn_rate) * factor,
                weight_decay=decay,
                eps=float(self.eps),
                maximize=False,
            )

    def _factor(self, parameter: Parameter) -> float:
        """Compute the factor of one parameter's learning rate."""
        if parameter.is_new:
            return self.head_factor
        # Parameters without a layer number are the embeddings, below the first layer.
        return float(self.layer_decay ** (self._deepest - parameter.layer))
