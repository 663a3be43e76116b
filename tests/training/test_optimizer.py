"""The optimizer: equal to torch's AdamW in spaCy's loop, rates by layer, and steps that are not plain."""

from typing import Any

import numpy as np
import pytest
import torch

from spacy_bert_ner.training.optimizer import AdamW, build_adamw
from tests.training.optimizing import KEYS, Problem, in_spacys_loop, rates


def torch_adamw(problem: Problem, **settings: Any) -> torch.optim.AdamW:
    groups = [{"params": [p], "weight_decay": 0.01 if p.ndim > 1 else 0.0} for p in problem.theirs]
    return torch.optim.AdamW(groups, **settings)


@pytest.mark.parametrize("clip", [0.5, 1e6])
def test_equals_torch_with_a_common_clip_in_spacys_loop(clip: float) -> None:
    problem = Problem()
    ours = in_spacys_loop(build_adamw(0.01, grad_clip=clip))
    theirs = torch_adamw(problem, lr=0.01)
    for _ in range(6):
        gradients = problem.gradients()
        before = [array.copy() for array in problem.ours]
        problem.give(ours, gradients)
        # Nothing moves before the step's end.
        for array, was in zip(problem.ours, before, strict=True):
            np.testing.assert_array_equal(array, was)
        ours.step_schedules()
        problem.torch_step(theirs, gradients, clip)
        problem.check()


def test_clip_of_zero_is_none() -> None:
    problem = Problem()
    ours = in_spacys_loop(build_adamw(0.01, grad_clip=0.0))
    theirs = torch_adamw(problem, lr=0.01)
    for _ in range(3):
        gradients = problem.gradients(100.0)
        problem.give(ours, gradients)
        ours.step_schedules()
        problem.torch_step(theirs, gradients, 1e9)
    problem.check()


def test_without_marked_steps_each_parameter_moves_at_once() -> None:
    problem = Problem()
    ours = build_adamw(0.01, grad_clip=0.5)
    theirs = torch_adamw(problem, lr=0.01)
    for _ in range(4):
        gradients = problem.gradients()
        problem.give(ours, gradients)
        clipped = [g * min(1.0, 0.5 / (float(np.linalg.norm(g)) + 1e-6)) for g in gradients]
        problem.torch_step(theirs, clipped, 1e9)
        problem.check()


def test_changes_between_marked_and_unmarked_steps() -> None:
    problem = Problem()
    # Without a clip both ways give the same.
    ours = build_adamw(0.01, grad_clip=0.0)
    theirs = torch_adamw(problem, lr=0.01)
    marked = [True, True, False, False, False, True, True]
    for is_marked in marked:
        gradients = problem.gradients()
        problem.give(ours, gradients)
        problem.torch_step(theirs, gradients, 1e9)
        if is_marked:
            ours.step_schedules()
            problem.check()
    problem.check()


def test_parameters_without_a_gradient_stay() -> None:
    problem = Problem()
    ours = in_spacys_loop(build_adamw(0.01))
    problem.give(ours, problem.gradients())
    ours.step_schedules()
    frozen, head = problem.ours[0].copy(), problem.ours[4].copy()
    ours(KEYS[4], problem.ours[4], problem.draw((3, 4)))
    ours.step_schedules()
    np.testing.assert_array_equal(problem.ours[0], frozen)
    assert (problem.ours[4] != head).any()


def moved(optimizer: AdamW, gradient: float = 1.0) -> dict[str, float]:
    """RETURNS: How far the first step moves each parameter, which for Adam is the learning rate."""
    arrays = {key: np.ones(4, dtype="f") for key in KEYS}
    for key, array in arrays.items():
        optimizer(key, array, np.full_like(array, gradient))
    optimizer.step_schedules()
    return {key[1]: float(1.0 - array[0]) for key, array in arrays.items()}


def test_rates_by_layer_and_for_the_head() -> None:
    rates = moved(in_spacys_loop(build_adamw(0.01, head_factor=5.0, layer_decay=0.5)))
    expected = {
        "embeddings.weight": 0.0025,
        "encoder.layer.0.dense.weight": 0.005,
        "encoder.layer.1.dense.weight": 0.01,
        "encoder.layer.1.bias": 0.01,
        "W": 0.05,
        "b": 0.05,
    }
    assert rates == pytest.approx(expected, rel=1e-3)
    assert moved(in_spacys_loop(build_adamw(0.01))) == pytest.approx(dict.fromkeys(expected, 0.01), rel=1e-3)


def test_what_an_encoder_says_is_new_has_the_heads_rate() -> None:
    optimizer = in_spacys_loop(build_adamw(0.01, head_factor=5.0, layer_decay=0.5))
    rates = {"casing.weight": 0.05, "network.memory.weight": 0.0025, "network.layer.1.norm.bias": 0.01}
    weights = {name: torch.ones(4) for name in rates}
    for name, tensor in weights.items():
        optimizer.take((1, name), tensor, torch.ones(4), is_new=name == "casing.weight")
    optimizer.step_schedules()
    assert {name: float(1.0 - tensor[0]) for name, tensor in weights.items()} == pytest.approx(rates, rel=1e-3)


@pytest.mark.parametrize(
    "name",
    [
        "transformer.encoder.layer.1.output.dense.weight",
        "transformer.transformer.layer.1.attention.weight",
        "transformer.layers.1.mlp.weight",
        "transformer.h.1.mlp.weight",
        "transformer.encoder.block.1.layer.0.weight",
    ],
)
def test_layers_are_found_in_the_names_of_every_encoder(name: str) -> None:
    optimizer = in_spacys_loop(build_adamw(0.01, layer_decay=0.5))
    arrays = [np.ones(4, dtype="f") for _ in range(2)]
    for key, array in zip([(1, name), (1, name.replace(".1.", ".3."))], arrays, strict=True):
        optimizer(key, array, np.ones_like(array))
    optimizer.step_schedules()
    assert 1 - arrays[0][0] == pytest.approx(0.0025, rel=1e-3)
    assert 1 - arrays[1][0] == pytest.approx(0.01, rel=1e-3)


def test_vectors_do_not_decay() -> None:
    optimizer = in_spacys_loop(build_adamw(0.1, weight_decay=0.5))
    matrix, vector = np.ones((2, 2), dtype="f"), np.ones(2, dtype="f")
    optimizer((1, "W"), matrix, np.zeros_like(matrix))
    optimizer((1, "b"), vector, np.zeros_like(vector))
    optimizer.step_schedules()
    assert matrix[0, 0] == pytest.approx(0.95)
    assert vector[0] == 1.0


def test_schedules_advance_once_a_step() -> None:
    optimizer = build_adamw(rates())
    seen = []
    for _ in range(3):
        seen.append(optimizer.learn_rate)
        moved(optimizer)
    assert seen == [1, 2, 3]


def test_a_gradient_in_another_memory_order() -> None:
    results = []
    for order in "CF":
        weights = np.arange(6, dtype="f").reshape(2, 3)
        gradient = np.asarray(np.array([[1, 20, 300], [4, 50, 600]], dtype="f"), order=order)
        optimizer = in_spacys_loop(build_adamw(0.1, eps=10.0, grad_clip=0.0))
        optimizer((1, "W"), weights, gradient)
        optimizer.step_schedules()
        results.append(weights)
    np.testing.assert_array_equal(*results)


def test_what_is_not_a_number_does_not_stay_in_the_gradient() -> None:
    gradient = np.array([np.nan, np.inf], dtype="f")
    build_adamw(0.1)((1, "W"), np.ones(2, dtype="f"), gradient)
    assert not gradient.any()


def test_only_plain_steps() -> None:
    with pytest.raises(ValueError, match=r"^spacy-bert-ner.AdamW.v1 has no lr_scale other than 1, found 0\.5$"):
        build_adamw(0.1)((1, "W"), np.ones(2, dtype="f"), np.ones(2, dtype="f"), lr_scale=0.5)
