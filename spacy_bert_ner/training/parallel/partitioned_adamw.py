"""AdamW in several processes, each of which keeps the moments of a slice of the parameters and updates that slice."""

import math
from collections.abc import Mapping

import torch
from thinc.api import Optimizer
from torch import Tensor

from spacy_bert_ner.training.optimizer import AdamW, Key, Parameter
from spacy_bert_ner.training.parameters import Parameters

from .exchange import Exchange

PER_NUMBER = ("mean", "square")


class PartitionedAdamW(AdamW):
    """AdamW on the sum of all processes' gradients.

    The end of each step must be marked by `step_schedules()`, in every process.

    alone (AdamW): A new optimizer, whose settings and schedules are taken over.
    exchange (Exchange): Connects the processes.
    parameters (Parameters): The trained models.
    """

    def __init__(self, alone: AdamW, exchange: Exchange, parameters: Parameters) -> None:
        # Not constructed from its arguments again: a schedule gives each of its rates once.
        for name in (*Optimizer.__slots__, *vars(alone)):
            setattr(self, name, getattr(alone, name))
        self._exchange = exchange
        self._name_of = parameters.names()
        self._key_of = {name: key for key, name in self._name_of.items()}
        self._new: set[str] = set()

    def take(self, key: Key, weights: Tensor, gradient: Tensor, *, is_new: bool) -> None:
        """Keep one parameter's gradient until the end of the step: see AdamW.take."""
        self._pending[key] = gradient
        if is_new:
            self._new.add(self._name_of[key])

    def step_schedules(self) -> None:
        """End a step: update every parameter that has a gradient in any process, then advance the schedules."""
        own = {self._name_of[key]: gradient for key, gradient in self._pending.items()}
        pieces, marked = self._exchange.sum(own, self._new)
        self._pending, self._new = {}, set()
        norms = self._exchange.norms(pieces)
        for (name, piece), norm in zip(pieces.items(), norms, strict=True):
            key, decays = self._key_of[name], len(self._exchange.partition.shapes[name]) > 1
            self._register(key, self._exchange.weights(name), decays=decays, is_new=name in marked)
            if not self._deferring:
                # As one process does in its first step.
                self._move({key: piece}, self._clipping(norm))
        if self._deferring:
            gradients = {self._key_of[name]: piece for name, piece in pieces.items()}
            self._move(gradients, self._clipping(math.hypot(*norms)))
        self._exchange.spread()
        super().step_schedules()

    def _clipping(self, norm: float) -> Tensor | None:
        return torch.tensor(norm, device=self._exchange.device) if self.grad_clip else None

    def state_dict(self, names: Mapping[Key, str]) -> dict[str, Tensor]:
        """Return Adam's moments and steps, gathered, in every process: see AdamW.state_dict."""
        state = super().state_dict(names)
        for field in PER_NUMBER:
            pieces = {self._name_of[key]: getattr(known, field) for key, known in self._known.items()}
            state |= {f"{field}/{name}": whole for name, whole in self._exchange.whole(pieces).items()}
        return state

    def _restore(self, key: Key, parameter: Parameter, field: str, saved: Tensor) -> None:
        piece = self._exchange.piece(self._name_of[key], saved) if field in PER_NUMBER else saved
        super()._restore(key, parameter, field, piece)
