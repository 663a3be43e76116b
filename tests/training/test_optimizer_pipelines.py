"""The optimizer in pipelines: from a config, on stock components and torch shims."""

from collections.abc import Callable
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
from tests.training.optimizing import in_spacys_loop

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
