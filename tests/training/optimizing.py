"""A small problem for optimizers: what their tests share."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from spacy_bert_ner.training.optimizer import AdamW

NAMES = ["embeddings.weight", "encoder.layer.0.dense.weight", "encoder.layer.1.dense.weight", "encoder.layer.1.bias"]
SHAPES = [(7, 4), (4, 4), (4, 4), (4,)]
KEYS = [*((1, name) for name in NAMES), (9, "W"), (9, "b")]


class Problem:
    """The same parameters and gradients for our optimizer and for torch's, call by call."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.ours = [self.draw(shape) for shape in [*SHAPES, (3, 4), (3,)]]
        self.theirs = [nn.Parameter(torch.from_numpy(array.copy())) for array in self.ours]

    def draw(self, shape: tuple[int, ...]) -> Any:
        return self.rng.standard_normal(shape).astype("f")

    def gradients(self, size: float = 3.0) -> list[Any]:
        return [size * self.draw(array.shape) for array in self.ours]

    def give(self, optimizer: AdamW, gradients: list[Any]) -> None:
        """Call the optimizer as thinc's models and shims do."""
        for key, weights, gradient in zip(KEYS, self.ours, [g.copy() for g in gradients], strict=True):
            returned, zeroed = optimizer(key, weights, gradient)
            assert returned is weights
            assert not zeroed.any()

    def torch_step(self, optimizer: torch.optim.Optimizer, gradients: list[Any], clip: float) -> None:
        for parameter, gradient in zip(self.theirs, gradients, strict=True):
            parameter.grad = torch.from_numpy(gradient.copy())
        nn.utils.clip_grad_norm_(self.theirs, clip)
        optimizer.step()

    def check(self) -> None:
        for ours, theirs in zip(self.ours, self.theirs, strict=True):
            np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-5, atol=1e-6)


def in_spacys_loop(optimizer: AdamW) -> AdamW:
    """Mark the end of a step without parameters, as if the first step were over."""
    optimizer.step_schedules()
    return optimizer


def rates() -> Iterator[float]:
    return itertools.count(1, 1)
