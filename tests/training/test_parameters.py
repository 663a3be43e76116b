"""The parameters of checkpoints: their names, tied weights and types."""

import json
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from safetensors.torch import load_file

from spacy_bert_ner.training import checkpoints
from spacy_bert_ner.training.parameters import Parameters
from spacy_bert_ner.training.training_error import RunError


def test_names_tell_equal_layers_apart() -> None:
    nlps = [spacy.blank("en") for _ in range(2)]
    for nlp in nlps:
        for name in ("first", "second"):
            nlp.add_pipe("tagger", name=name).add_label("N")  # type: ignore[attr-defined]
        nlp.initialize()
    first, second = (Parameters(nlp, []) for nlp in nlps)
    assert sorted(first.names().values()) == sorted(second.names().values())
    assert len(set(first.names().values())) == len(first.names())
    assert first.names().keys().isdisjoint(second.names())
    second.load_tensors(first.tensors())
    for name, tensor in second.tensors().items():
        torch.testing.assert_close(tensor, first.tensors()[name], rtol=0, atol=0)
    narrow = spacy.blank("en")
    narrow.add_pipe("tagger", name="first").add_label("N")  # type: ignore[attr-defined]
    narrow.initialize()
    with pytest.raises(RunError, match="does not fit the pipeline"):
        Parameters(narrow, []).load_tensors(first.tensors())


def test_tied_weights_are_written_twice(tmp_path: Path) -> None:
    weights = torch.ones(3, 2)
    checkpoints.save_tensors({"one": weights, "other": weights, "turned": weights.T}, tmp_path / "tensors")
    loaded = load_file(tmp_path / "tensors")
    assert {name: tuple(tensor.shape) for name, tensor in loaded.items()} == {
        "one": (3, 2),
        "other": (3, 2),
        "turned": (2, 3),
    }


def test_numbers_keep_their_type() -> None:
    values = {"loss": np.float32(0.1), "score": 0.1, "list": [1, None, float("inf")]}
    loaded = json.loads(json.dumps(values, default=checkpoints.encode_number), object_hook=checkpoints.decode_number)
    assert loaded == values
    assert {name: type(value) for name, value in loaded.items()} == {"loss": np.float32, "score": float, "list": list}
    with pytest.raises(TypeError, match="A set cannot be kept in a checkpoint"):
        checkpoints.encode_number({1})
