"""Dtypes of weights, products and gradients."""

from pathlib import Path

import numpy as np
import pytest
import torch
from thinc.api import Adam
from torch import nn

from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.encoder.network.precision import LossScale, choose_dtype
from spacy_bert_ner.training.optimizer import build_adamw
from tests.encoder.encoders import (
    NO_DROPOUT,
    WORDS,
    backward,
    doc_of,
    gradients,
    long_doc,
    make,
    predict,
)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_precisions_agree(tiny_bert: Path, precision: str) -> None:
    docs = [long_doc(90), doc_of(WORDS)]
    exact, short = (make(tiny_bert, precision=p, transformer_config=NO_DROPOUT) for p in ("fp32", precision))
    for vectors, other in zip(predict(exact, docs), predict(short, docs), strict=True):
        assert other.dtype == np.float32
        np.testing.assert_allclose(vectors, other, atol=0.08)
        assert np.abs(vectors - other).max() > 0
    # Small enough for fp16's range.
    d_vectors = [np.ones_like(vectors) * np.arange(32, dtype="f") * 1e-5 for vectors in predict(exact, docs)]
    found = []
    for model in (exact, short):
        np.random.seed(0)
        found.append(backward(model, docs, d_vectors))
    scale = get_shim(short).training_state()[0] if precision == "fp16" else 1.0
    for name, grad in found[0].items():
        similarity = torch.nn.functional.cosine_similarity(grad.flatten(), found[1][name].flatten() / scale, dim=0)
        assert similarity > 0.98 or grad.norm() < 1e-5, name


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_short_weights_follow_training(tiny_bert: Path, precision: str) -> None:
    model = make(tiny_bert, precision=precision)
    shim, doc = get_shim(model), doc_of(WORDS)
    before = predict(model, [doc])[0]
    assert {p.dtype for p in shim.encoder.parameters()} == {torch.float32}
    assert shim._fast is not None
    assert {p.dtype for p in shim._fast.parameters()} == {choose_dtype(precision, shim.device)}
    held = shim._fast
    predict(model, [doc])
    assert shim._fast is held
    weights = {name: p.detach().clone() for name, p in shim.encoder.named_parameters()}
    for optimizer in (build_adamw(0.01), Adam(0.01)):
        backward(model, [doc], [np.ones_like(before) * np.arange(32, dtype="f") * 1e-3])
        model.finish_update(optimizer)
        after = predict(model, [doc])[0]
        exact = make(tiny_bert)
        get_shim(exact).encoder.load_state_dict(shim.encoder.state_dict())
        assert np.abs(after - before).max() > 0.05
        np.testing.assert_allclose(after, predict(exact, [doc])[0], atol=0.1)
        before = after
    assert any((p != weights[name]).any() for name, p in shim.encoder.named_parameters())
    assert {p.dtype for p in shim.encoder.parameters()} == {torch.float32}


def test_an_overflow_in_fp16_moves_nothing(tiny_bert: Path) -> None:
    model = make(tiny_bert, precision="fp16")
    shim, doc = get_shim(model), doc_of(WORDS)
    weights = {name: p.detach().clone() for name, p in shim.encoder.named_parameters()}
    scale = shim.training_state()[0]
    backward(model, [doc], [np.full_like(predict(model, [doc])[0], np.inf)])
    model.finish_update(build_adamw(0.01))
    assert all((p == weights[name]).all() for name, p in shim.encoder.named_parameters())
    assert gradients(model) == {}
    assert shim.training_state()[0] == scale / 2


def test_the_loss_scale_grows_after_many_steps() -> None:
    scale, parameter = LossScale(), nn.Parameter(torch.ones(2))
    first = scale.value
    for _ in range(2000):
        assert scale.value == first
        parameter.grad = torch.full((2,), first)
        assert scale.take_out([parameter])
        assert parameter.grad is not None
        assert (parameter.grad == 1.0).all()
    assert scale.value == 2 * first


def test_precision_by_device() -> None:
    cpu = torch.device("cpu")
    assert choose_dtype("fp32", cpu) is torch.float32
    assert choose_dtype("auto", cpu) in (torch.float32, torch.bfloat16)
    assert choose_dtype("auto", torch.device("meta")) is torch.float32
