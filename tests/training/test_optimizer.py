"""The optimizer: torch's AdamW in spaCy's training loop, and nothing worse outside it."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from spacy.language import Language
from spacy.training import Example
from spacy.util import registry
from thinc.api import Adam, Config, Linear, Model, PyTorchWrapper, chain
from torch import nn

from spacy_bert_ner.training.optimizer import AdamW, build_adamw
from spacy_bert_ner.training.optimizer_state import load_optimizer, optimizer_state

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


def rates() -> Iterator[float]:
    return itertools.count(1, 1)


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


def test_a_resized_parameter_begins_anew() -> None:
    optimizer = in_spacys_loop(build_adamw(0.01, weight_decay=0.0))
    for size in (3, 5):
        for _ in range(3):
            weights = np.ones(size, dtype="f")
            optimizer((1, "W"), weights, np.ones_like(weights))
            optimizer.step_schedules()
        # Adam's first steps are as long as the learning rate, if the moments know of no others.
        np.testing.assert_allclose(weights, 0.99, rtol=1e-4)
    assert [p.steps.item() for p in optimizer._known.values()] == [3]


def test_a_parameter_whose_memory_moved_keeps_its_moments() -> None:
    optimizer = in_spacys_loop(build_adamw(0.01))
    first, second = np.ones(3, dtype="f"), np.ones(3, dtype="f")
    for weights in (first, second):
        optimizer((1, "W"), weights, np.ones_like(weights))
        optimizer.step_schedules()
    assert [p.steps.item() for p in optimizer._known.values()] == [2]
    assert first[0] == pytest.approx(0.99)
    assert second[0] == pytest.approx(0.99)


def test_goes_on_from_a_saved_state() -> None:
    def run(optimizer: AdamW, problem: Problem, steps: int) -> None:
        for _ in range(steps):
            problem.give(optimizer, problem.gradients())
            optimizer.step_schedules()

    make = partial(build_adamw, learn_rate=0.01, weight_decay=0.1)
    straight = Problem()
    run(make(), straight, 6)

    problem = Problem()
    first = make()
    run(first, problem, 3)
    second = make()
    names = {key: f"name of {key}" for key in first._known}
    second.load_state_dict(first.state_dict(names), names)
    run(second, problem, 3)
    for ours, theirs in zip(problem.ours, straight.ours, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_saved_state_finds_its_parameters_by_name_alone() -> None:
    """Of three of the same shape and the same own name, in another order and under other ids."""
    first = in_spacys_loop(build_adamw(0.01))
    for id, steps in [(1, 1), (2, 2), (3, 3)]:
        for _ in range(steps):
            first((id, "W"), np.ones(2, dtype="f"), np.full(2, id, dtype="f"))
            first.step_schedules()
    saved = first.state_dict({(1, "W"): "a", (2, "W"): "b", (3, "W"): "c"})
    second = build_adamw(0.01)
    names = {(77, "W"): "b", (1, "W"): "c", (2, "W"): "a", (3, "W"): "new"}
    second.load_state_dict(saved, names)
    for id in (77, 3, 1):
        second((id, "W"), np.ones(2, dtype="f"), np.zeros(2, dtype="f"))
    second.step_schedules()
    steps_made = {key: parameter.steps.item() for key, parameter in second._known.items()}
    assert steps_made == {(77, "W"): 3, (3, "W"): 1, (1, "W"): 4}
    # What has not been moved since is saved again.
    again = second.state_dict(names)
    assert again["steps/a"].item() == 1
    torch.testing.assert_close(again["mean/a"], saved["mean/a"])


def test_no_state_amid_a_step() -> None:
    optimizer = in_spacys_loop(build_adamw(0.01))
    optimizer((1, "W"), np.ones(2, dtype="f"), np.ones(2, dtype="f"))
    with pytest.raises(ValueError, match="in the middle of a step"):
        optimizer.state_dict({(1, "W"): "W"})


def test_restored_schedules() -> None:
    first = build_adamw(rates())
    for _ in range(3):
        first.step_schedules()
    second = build_adamw(rates())
    load_optimizer(second, {}, optimizer_state(first, {}), {}, 3)
    assert second.learn_rate == first.learn_rate == 4
    message = (
        r"^The optimizer's schedules give \{'learn_rate': 3\.0\} after 2 steps, but gave \{'learn_rate': 4\.0\} when "
        "its state was saved: resume with the config that the training was begun with, or start over with --fresh$"
    )
    with pytest.raises(ValueError, match=message):
        load_optimizer(build_adamw(rates()), {}, optimizer_state(first, {}), {}, 2)


CONFIG = """
[optimizer]
@optimizers = "spacy-bert-ner.AdamW.v1"
head_factor = 5.0
grad_clip = 2.0

[optimizer.learn_rate]
@schedules = "warmup_linear.v1"
initial_rate = 0.1
warmup_steps = 2
total_steps = 10
"""


def test_resolves_from_a_config() -> None:
    optimizer = registry.resolve(Config().from_str(CONFIG))["optimizer"]
    assert isinstance(optimizer, AdamW)
    assert (optimizer.grad_clip, optimizer.head_factor, optimizer.averages) == (2.0, 5.0, None)
    seen = []
    for _ in range(3):
        seen.append(optimizer.learn_rate)
        optimizer.step_schedules()
    assert seen == pytest.approx([0.0, 0.05, 0.1])


def make_tagger() -> tuple[Language, list[Example]]:
    nlp = spacy.blank("en")
    model = {"tok2vec": {"@architectures": "spacy.HashEmbedCNN.v2", **HASH_EMBED}}
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", **model}})
    words = ["Jane", "met", "IBM"]
    examples = [
        Example.from_dict(nlp.make_doc(" ".join(reversed(words) if i % 2 else words)), {"tags": tags})
        for i, tags in enumerate([["N", "V", "C"], ["C", "V", "N"]])
    ]
    nlp.initialize(lambda: examples)
    return nlp, examples


HASH_EMBED = {
    "width": 8,
    "depth": 1,
    "embed_size": 50,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": True,
    "pretrained_vectors": None,
}


def spacys_loop(nlp: Language, examples: list[Example], optimizer: Any) -> float:
    """One step of spacy.training.loop.train_while_improving."""
    losses = nlp.update(examples, sgd=False)
    for _, component in nlp.pipeline:
        component.finish_update(optimizer)  # type: ignore[attr-defined]
    optimizer.step_schedules()
    return losses["tagger"]


def direct_update(nlp: Language, examples: list[Example], optimizer: Any) -> float:
    return nlp.update(examples, sgd=optimizer)["tagger"]


@pytest.mark.parametrize("step", [spacys_loop, direct_update])
def test_trains_a_stock_pipeline(step: Callable[[Language, list[Example], Any], float]) -> None:
    nlp, examples = make_tagger()
    optimizer = build_adamw(0.02)
    losses = [step(nlp, examples, optimizer) for _ in range(25)]
    assert losses[-1] < 0.1 * losses[0]
    assert [token.tag_ for token in nlp("Jane met IBM")] == ["N", "V", "C"]


def torch_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


def test_moves_a_stock_torch_shim_as_torch_does() -> None:
    torch_model, reference = torch_net(), torch_net()
    model: Model = chain(PyTorchWrapper(torch_model), Linear(2, 3))
    inputs = np.random.default_rng(0).standard_normal((6, 4)).astype("f")
    model.initialize(X=inputs)
    ours = in_spacys_loop(build_adamw(0.01, grad_clip=0.0))
    groups = [{"params": [p], "weight_decay": 0.01 if p.ndim > 1 else 0.0} for p in reference.parameters()]
    theirs = torch.optim.AdamW(groups, lr=0.01)
    head = model.layers[1]
    for _ in range(4):
        weights = torch.from_numpy(head.get_param("W").copy())
        predicted, backprop = model.begin_update(inputs)
        backprop(np.ones_like(predicted))
        model.finish_update(ours)
        ours.step_schedules()
        theirs.zero_grad()
        (reference(torch.from_numpy(inputs)) @ weights.T).sum().backward()
        theirs.step()
        for mine, other in zip(torch_model.parameters(), reference.parameters(), strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_torch_tensors_are_taken_without_a_copy() -> None:
    optimizer = in_spacys_loop(build_adamw(0.01))
    weights, gradient = torch.ones(3, 4), torch.ones(3, 4)
    optimizer.take((1, "W"), weights, gradient, is_new=True)
    assert optimizer._pending[1, "W"] is gradient
    assert optimizer._known[1, "W"].weights is weights
    optimizer.step_schedules()
    assert weights[0, 0].item() == pytest.approx(1 - 0.01 - 0.01 * 0.01, abs=1e-5)


def test_equals_thincs_adam_without_clip_and_decay() -> None:
    ours, theirs = build_adamw(0.01, weight_decay=0.0, grad_clip=0.0), Adam(0.01, L2=0.0, grad_clip=0.0)
    arrays = [np.ones((2, 3), dtype="f") for _ in range(2)]
    for optimizer, array in zip([ours, theirs], arrays, strict=True):
        for _ in range(3):
            optimizer((1, "W"), array, np.full_like(array, 0.3))
    np.testing.assert_allclose(arrays[0], arrays[1], rtol=1e-4)
