"""What tests of the encoder share: documents, models, vectors and gradients."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Model
from torch import nn

from spacy_bert_ner.encoder.building import checkpoint_names
from spacy_bert_ner.encoder.model import build_encoder_model, get_shim
from spacy_bert_ner.encoder.vectors import PieceVectors
from spacy_bert_ner.encoder.words import Encoded

Encoders = Callable[[str], Path]
VOCAB = Vocab()
WORDS = ["Jane", "met", "the", "IBM", "man", "near", "Paris", ",", "unlucky", "Londoners", "said"]
WEIRD = ["🙂", "\x01", "\u200b", "\ufeff", "ﬁ", "e\u0301", "</s>", "[SEP]", "<pad>", " ", "\n\n", "x" * 10_000]
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


class Word(NamedTuple):
    """One word's pieces."""

    ids: list[int]
    classes: list[int]


def words_of(encoded: Encoded) -> list[Word]:
    """Take words apart that were encoded together."""
    ends = np.cumsum(encoded.counts).tolist()
    starts = [0, *ends[:-1]]
    parts = zip(starts, ends, strict=True)
    return [Word(encoded.ids[a:b].tolist(), encoded.classes[a:b].tolist()) for a, b in parts]


class Pieces(NamedTuple):
    """One document's part of a batch of vectors: (pieces, width), and pieces of each token."""

    data: Any
    lengths: Any


def doc_of(words: list[str]) -> Doc:
    return Doc(VOCAB, words=words)


def long_doc(length: int, seed: int = 0) -> Doc:
    return doc_of([WORDS[i] for i in np.random.default_rng(seed).integers(0, len(WORDS), length)])


def make(name: Path | str, **settings: Any) -> Model[list[Doc], PieceVectors]:
    settings = {"window": 64, "stride": 48, "precision": "fp32", "case_features": False, **settings}
    model = build_encoder_model(str(name), **settings)
    model.initialize(X=[doc_of(["hello"])])
    return model


def encoder_of(model: Model) -> nn.Module:
    return get_shim(model).encoder


def split(vectors: PieceVectors) -> list[Pieces]:
    """Take a batch apart by document."""
    found = []
    token = row = 0
    for count in vectors.tokens.tolist():
        lengths = vectors.pieces[token : token + count]
        rows = int(lengths.sum())
        found.append(Pieces(vectors.data[row : row + rows], lengths))
        token, row = token + count, row + rows
    assert row == len(vectors.data)
    return found


def predict(model: Model, docs: list[Doc]) -> list[Any]:
    return [pieces.data for pieces in split(model.predict(docs))]


def gradients(model: Model) -> dict[str, Any]:
    named = encoder_of(model).named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


def backward(model: Model, docs: list[Doc], d_vectors: list[Any]) -> dict[str, Any]:
    """Send gradients back, which come by document. RETURNS: The parameters' gradients."""
    vectors, backprop = model.begin_update(docs)
    backprop(vectors.with_data(np.concatenate(d_vectors)))
    return gradients(model)


def as_ours(config: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Hugging Face's parameters, or their gradients, by our names: queries, keys and values are joined."""
    found = {}
    for name, parts in checkpoint_names(config, "").items():
        if all(part in theirs for part in parts):
            found[f"network.{name}"] = torch.cat([theirs[part] for part in parts])
    return found


def check_close(found: dict[str, Any], expected: dict[str, Any], tolerance: float = 1e-5) -> None:
    assert found.keys() == expected.keys()
    assert found
    for name in found:
        size = max(float(expected[name].abs().max()), 1.0)
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=tolerance * size, msg=name)
