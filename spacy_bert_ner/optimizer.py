"""AdamW with one step for all parameters, for `spacy train` with any pipeline.

thinc's optimizers see one parameter at a time, and so cannot clip by the norm of the whole gradient; on a CPU they
also step torch's parameters one by one through NumPy. This one gathers the parameters that spaCy's training loop
hands over, and moves all of them at the end of the step, which that loop marks by `step_schedules()`, with torch's fused
kernels and on the parameters' own memory.

Code that never calls `step_schedules()`, as a script around `nlp.update(..., sgd=optimizer)`, has no such mark. There,
and in the first step of all, each parameter moves at once, and is clipped by its own norm.
"""

import re
from collections.abc import Iterable
from typing import Any, cast

import torch
from thinc.api import Optimizer, xp2torch
from thinc.optimizers import FloatOrSeq
from thinc.types import FloatsXd
from torch import Tensor

Key = tuple[int, str]

# Where Hugging Face's encoders number their layers: encoder.layer.3, transformer.layer.3, layers.3, h.3.
LAYER = re.compile(r"(?:^|\.)(?:layers?|h|block)\.(\d+)\.")


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
    head_factor (float): What the learning rate is multiplied by for parameters outside a torch encoder.
    layer_decay (float): What it is multiplied by for each layer further from the head (Clark et al. 2020, ELECTRA).
    beta1, beta2, eps (float): Adam's.
    weight_decay (float): Decoupled decay; none on vectors, which are biases and norms.
    grad_clip (float): The most norm of the gradient over all parameters; 0 switches clipping off.
    RETURNS (AdamW): The optimizer.
    """
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
        self._params: dict[Key, Tensor] = {}
        self._pending: dict[Key, Tensor] = {}
        self._deferring = False
        self._torch: torch.optim.AdamW | None = None
        self._restored: dict[str, Any] | None = None

    def __call__(  # type: ignore[override]
        self, key: Key, weights: FloatsXd, gradient: FloatsXd, *, lr_scale: float = 1.0
    ) -> tuple[FloatsXd, FloatsXd]:
        """Take one parameter's gradient, and move the parameter now or at the end of the step.

        key (tuple[int, str]): The id of the model or shim, and the parameter's name.
        weights (FloatsXd): The parameter; it is changed in place.
        gradient (FloatsXd): Its gradient; it is set to zero.
        lr_scale (float): Multiplies the gradient's step; only 1 is supported, which is what spaCy and thinc send.
        RETURNS (tuple[FloatsXd, FloatsXd]): The same two arrays.
        """
        if lr_scale != 1.0:
            raise ValueError(f"spacy-bert-ner.AdamW.v1 has no lr_scale other than 1, found {lr_scale}")
        if key in self._pending:
            # A new step has begun though nothing marked the last one's end: this is not spaCy's training loop.
            self._step(self._pending)
            self._pending = {}
            self._deferring = False
        self._register(key, cast(Tensor, xp2torch(weights)).detach())
        # A copy: whoever called zeroes the gradient right away, or writes the next one into it.
        own = cast(Tensor, xp2torch(gradient)).detach().clone()
        gradient *= 0
        if self._deferring:
            self._pending[key] = own
        else:
            self._step({key: own})
        return weights, gradient

    def step_schedules(self) -> None:
        """End a step: move every parameter that has a gradient, then advance the schedules."""
        if self._pending:
            self._step(self._pending)
            self._pending = {}
        self._deferring = True
        super().step_schedules()

    def state_dict(self) -> dict[str, Any]:
        """RETURNS (dict): Moments and steps, by the parameters' order of appearance, and the schedules' values."""
        state = self._torch.state_dict()["state"] if self._torch is not None else {}
        return {
            "moments": state,
            "scheduled": {name: getattr(self, name) for name in self.schedules},
            "deferring": self._deferring,
        }

    def load_state_dict(self, state: dict[str, Any], steps: int) -> None:
        """Restore what `state_dict` gave, in a new process as well: parameters are matched by their order.

        state (dict): The state.
        steps (int): Steps that were made; a new optimizer's schedules are advanced by as many.
        RAISES: ValueError where the schedules then say something else than they did.
        """
        for _ in range(steps):
            super().step_schedules()
        found = {name: getattr(self, name) for name in self.schedules}
        if found != state["scheduled"]:
            raise ValueError(
                f"The optimizer's schedules give {found} after {steps} steps, but gave {state['scheduled']} when its "
                "state was saved: resume with the config that the training was begun with"
            )
        self._deferring = state["deferring"]
        self._restored = state["moments"]

    def _register(self, key: Key, tensor: Tensor) -> None:
        """Note where a parameter's memory is; moments are kept for as long as its shape stays."""
        known = self._params.get(key)
        if known is None or known.shape != tensor.shape:
            self._params[key] = tensor
            self._torch = self._rebuild()
        elif known.data_ptr() != tensor.data_ptr():
            known.data = tensor

    def _rebuild(self) -> torch.optim.AdamW:
        """Make torch's optimizer for the parameters known by now. RETURNS: It, with the moments there were."""
        groups = [{"params": [tensor], "weight_decay": self._decay(tensor)} for tensor in self._params.values()]
        fused = all(tensor.is_floating_point() for tensor in self._params.values())
        made = torch.optim.AdamW(groups, lr=0.0, betas=(self.b1, self.b2), eps=self.eps, fused=fused)
        if self._torch is not None:
            known = {id(tensor) for tensor in self._params.values()}
            made.state.update({t: state for t, state in self._torch.state.items() if id(t) in known})
        return made

    def _decay(self, tensor: Tensor) -> float:
        return float(self.L2) if tensor.ndim > 1 else 0.0

    def _step(self, gradients: dict[Key, Tensor]) -> None:
        """Clip gradients by their common norm, and move their parameters."""
        assert self._torch is not None
        self._restore_moments()
        if self.grad_clip:
            _clip(gradients.values(), float(self.grad_clip))
        deepest = self._deepest()
        for (key, tensor), group in zip(self._params.items(), self._torch.param_groups, strict=True):
            group["lr"] = float(self.learn_rate) * self._factor(key, deepest)
            tensor.grad = gradients.get(key)
        self._torch.step()
        for tensor in self._params.values():
            tensor.grad = None

    def _restore_moments(self) -> None:
        if self._restored is None or self._torch is None:
            return
        tensors = list(self._params.values())
        for i, moments in self._restored.items():
            if i < len(tensors):
                self._torch.state[tensors[i]] = {name: value.clone() for name, value in moments.items()}
        if len(tensors) >= len(self._restored):
            self._restored = None

    def _deepest(self) -> int:
        layers = [int(found[1]) for _, name in self._params if (found := LAYER.search(name))]
        return max(layers, default=-1)

    def _factor(self, key: Key, deepest: int) -> float:
        """Say what the learning rate is multiplied by for one parameter."""
        name = key[1]
        # thinc's own parameters have plain names, torch modules' have dotted ones.
        if "." not in name:
            return self.head_factor
        if self.layer_decay == 1.0:
            return 1.0
        found = LAYER.search(name)
        # What has no layer's number is the embeddings, below the first layer.
        return float(self.layer_decay ** (deepest - (int(found[1]) if found else -1)))


def _clip(gradients: Iterable[Tensor], most: float) -> None:
    """Scale gradients in place so that their common norm is at most `most`."""
    gradients = list(gradients)
    norm = torch.nn.utils.get_total_norm(gradients)
    torch._foreach_mul_(gradients, (most / (norm + 1e-6)).clamp(max=1.0))
