"""Encoders that are saved, loaded, pickled and copied."""

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from thinc.api import Model
from transformers import AutoModel, AutoTokenizer

from spacy_bert_ner.encoder.model import build_encoder_model, get_shim
from spacy_bert_ner.encoder.settings import EncoderSettings
from spacy_bert_ner.encoder.shim import EncoderShim
from spacy_bert_ner.training.optimizer import build_adamw
from tests.encoder.encoders import (
    NO_DROPOUT,
    WEIRD,
    WORDS,
    Encoders,
    backward,
    doc_of,
    encoder_of,
    gradients,
    long_doc,
    make,
    predict,
)


def copies(model: Model, folder: Path) -> Iterator[tuple[str, Model]]:
    blank = {"window": 64, "stride": 48, "precision": "fp32"}
    yield "bytes", build_encoder_model("nowhere", **blank).from_bytes(model.to_bytes())
    model.to_disk(folder / "model")
    yield "disk", build_encoder_model("nowhere", **blank).from_disk(folder / "model")
    yield "pickle", pickle.loads(pickle.dumps(model))
    yield "deepcopy", copy.deepcopy(model)
    yield "copy", model.copy()


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "deberta-v2"])
def test_copies_give_the_same_vectors_and_learn_alone(tiny_encoder: Encoders, name: str, tmp_path: Path) -> None:
    model = make(tiny_encoder(name), case_features=True, transformer_config=NO_DROPOUT)
    docs = [long_doc(100), doc_of([]), doc_of(WEIRD)]
    encoder_of(model).get_parameter("casing.weight").data.normal_()
    expected = predict(model, docs)
    for kind, copied in copies(model, tmp_path):
        shim = get_shim(copied)
        for vectors, other in zip(predict(copied, docs), expected, strict=True):
            np.testing.assert_array_equal(vectors, other, err_msg=kind)
        assert not any(module.training for module in shim.encoder.modules())
        assert shim.id != get_shim(model).id
        backward(copied, docs, [np.ones_like(vectors) * np.arange(32, dtype="f") for vectors in expected])
        assert gradients(model) == {}
        copied.finish_update(build_adamw(0.01))
        assert np.abs(predict(copied, docs)[0] - expected[0]).max() > 0.01
        np.testing.assert_array_equal(predict(model, docs)[0], expected[0])


def test_loading_draws_no_random_numbers(tiny_bert: Path) -> None:
    saved = make(tiny_bert).to_bytes()
    state = torch.random.get_rng_state()
    build_encoder_model("nowhere").from_bytes(saved)
    assert (torch.random.get_rng_state() == state).all()


def test_on_disk_in_fp32_and_the_same_each_time(tiny_bert: Path) -> None:
    model = make(tiny_bert, precision="bf16")
    predict(model, [doc_of(WORDS)])
    saved = model.to_bytes()
    loaded = build_encoder_model("nowhere", window=64, stride=48, precision="bf16").from_bytes(saved)
    assert loaded.to_bytes() == saved
    state = encoder_of(loaded).state_dict()
    for name, tensor in encoder_of(model).state_dict().items():
        assert state[name].dtype == tensor.dtype == torch.float32
        assert (state[name] == tensor).all()


def test_half_precision_checkpoints_are_trained_in_fp32(tiny_bert: Path, tmp_path: Path) -> None:
    AutoModel.from_pretrained(tiny_bert).half().save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path)
    model = make(tmp_path)
    again = build_encoder_model("nowhere").from_bytes(model.to_bytes())
    for each in (model, again):
        assert {p.dtype for p in encoder_of(each).parameters()} == {torch.float32}


def test_saved_weights_that_do_not_fit(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import srsly

    shim = get_shim(make(tiny_bert))
    data = srsly.msgpack_loads(shim.to_bytes())
    data["config"] = data["config"].replace('"num_hidden_layers": 2', '"num_hidden_layers": 3')
    with pytest.raises(ValueError, match=r"(?s)^The saved encoder does not fit: weights are missing"):
        EncoderShim(EncoderSettings("x", precision="fp32")).from_bytes(srsly.msgpack_dumps(data))


def test_uninitialized_models_can_be_saved_and_copied(tmp_path: Path) -> None:
    model = build_encoder_model("nowhere")
    for _, copied in copies(model, tmp_path):
        assert get_shim(copied)._model is None


def test_other_weights_for_a_while(tiny_bert: Path) -> None:
    for precision in ("fp32", "bf16"):
        model = make(tiny_bert, precision=precision)
        shim, doc = get_shim(model), doc_of(WORDS)
        before = predict(model, [doc])[0]
        name = "network.layer.1.contract.weight"
        array = np.zeros((32, 64), dtype="f")
        with model.use_params({(shim.id, name): array, (shim.id + 1, name): array + 1}):
            assert np.abs(predict(model, [doc])[0] - before).max() > 0.01
        np.testing.assert_array_equal(predict(model, [doc])[0], before)
        with pytest.raises(KeyboardInterrupt), shim.use_params({(shim.id, name): array}):
            raise KeyboardInterrupt
        np.testing.assert_array_equal(predict(model, [doc])[0], before)
