"""What tests of the encoder share: documents, models, vectors and gradients."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from spacy.tokens import Doc
from spacy.vocab import Vocab
from spacy_transformers.data_classes import FullTransformerBatch, TransformerData
from thinc.api import Model
from torch import nn

from spacy_bert_ner.encoder.model import build_transformer_model, get_shim
from spacy_bert_ner.encoder.settings import Settings

Encoders = Callable[[str], Path]
VOCAB = Vocab()
WORDS = ["Jane", "met", "the", "IBM", "man", "near", "Paris", ",", "unlucky", "Londoners", "said"]
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def doc_of(words: list[str]) -> Doc:
    return Doc(VOCAB, words=words)


def long_doc(length: int, seed: int = 0) -> Doc:
    return doc_of([WORDS[i] for i in np.random.default_rng(seed).integers(0, len(WORDS), length)])


def make(name: Path | str, **settings: Any) -> Model[list[Doc], FullTransformerBatch]:
    settings = {"window": 64, "stride": 48, "precision": "fp32", "case_features": False, **settings}
    model = build_transformer_model(str(name), **settings)
    model.initialize(X=[doc_of(["hello"])])
    return model


def encoder_of(model: Model) -> nn.Module:
    return get_shim(model).encoder


def predict(model: Model, docs: list[Doc]) -> list[Any]:
    return [vectors_of(data) for data in model.predict(docs).doc_data]


def vectors_of(data: TransformerData) -> Any:
    return data.model_output.last_hidden_state[0] if data.model_output else np.zeros((0, 32), dtype="f")


def settings_of(model: Model) -> Settings:
    return cast(Settings, cast(Any, model._func).keywords["settings"])


def gradients(model: Model) -> dict[str, Any]:
    named = encoder_of(model).named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


def backward(model: Model, docs: list[Doc], d_vectors: list[Any]) -> dict[str, Any]:
    """Send gradients back by document, as listeners do. RETURNS: The parameters' gradients."""
    batch, backprop = model.begin_update(docs)
    backprop(batch.unsplit_by_doc([[d[None]] for d in d_vectors if len(d)]))
    return gradients(model)


def check_close(found: dict[str, Any], expected: dict[str, Any], tolerance: float = 1e-5) -> None:
    assert found.keys() == expected.keys()
    assert found
    for name in found:
        size = max(float(expected[name].abs().max()), 1.0)
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=tolerance * size, msg=name)
