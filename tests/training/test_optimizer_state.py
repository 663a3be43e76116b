"""The optimizer's state: resized and moved parameters, saving and going on."""

from functools import partial

import numpy as np
import pytest
import torch

from spacy_bert_ner.training.optimizer import AdamW, build_adamw
from spacy_bert_ner.training.optimizer_state import load_optimizer, optimizer_state
from tests.training.optimizing import Problem, in_spacys_loop, rates


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
