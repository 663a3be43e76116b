"""Word-shape features."""

import numpy as np
import pytest
import torch

from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.encoder.network.casing import CLASSES, WORD_SHAPES, piece_classes, word_shape
from spacy_bert_ner.training.optimizer import build_adamw
from tests.encoder.encoders import (
    NO_DROPOUT,
    Encoders,
    backward,
    doc_of,
    make,
    predict,
    words_of,
)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Jane", "Title"),
        ("jane", "lower"),
        ("IBM", "UPPER"),
        ("U.S.", "UPPER"),
        ("A", "U"),
        ("McDonald", "miXed"),
        ("iPhone", "miXed"),
        ("'Tis", "Title"),
        ("1996", "digit"),
        ("12th", "d1git"),
        ("B-52", "d1git"),
        (",", "other"),
        ("", "other"),
        ("🙂", "other"),
    ],
)
def test_shapes(word: str, expected: str) -> None:
    assert WORD_SHAPES[word_shape(word)] == expected


@pytest.mark.parametrize(
    ("word", "spans", "expected"),
    [
        ("London-based", [(0, 6), (6, 7), (7, 12)], ["Title Title", "Title other", "Title lower"]),
        ("McDonald", [(0, 2), (2, 8)], ["miXed Title", "miXed Title"]),
        ("B-52", [(0, 1), (1, 2), (2, 4)], ["d1git U", "d1git other", "d1git digit"]),
        ("\x01", [], ["other other"]),
        # Nobody reads a word of a megabyte to its end.
        ("X" * 100 + "x", [(0, 101)], ["UPPER UPPER"]),
    ],
)
def test_pieces_have_their_own_shapes(word: str, spans: list[tuple[int, int]], expected: list[str]) -> None:
    found = [divmod(number, len(WORD_SHAPES)) for number in piece_classes(word, spans)]
    assert [f"{WORD_SHAPES[of_word]} {WORD_SHAPES[of_piece]}" for of_word, of_piece in found] == expected


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "deberta-v2"])
def test_the_tokenizer_says_where_pieces_are(tiny_encoder: Encoders, name: str) -> None:
    pieces = get_shim(make(tiny_encoder(name))).pieces
    (word,) = words_of(pieces.encode(["Unlucky-US"], 99))
    shapes = [WORD_SHAPES[number % len(WORD_SHAPES)] for number in word.classes]
    assert len(shapes) == len(word.ids)
    assert len(shapes) > 3
    assert shapes[-1] in ("U", "UPPER")
    assert "lower" in shapes


@pytest.mark.parametrize(
    ("name", "expected"), [("bert", True), ("bert-cased", False), ("roberta", False), ("xlm-roberta", False)]
)
def test_case_features_by_default_where_capitals_are_lost(tiny_encoder: Encoders, name: str, expected: bool) -> None:
    assert get_shim(make(tiny_encoder(name), case_features=None)).encoder.case_features is expected
    assert get_shim(make(tiny_encoder(name), case_features=not expected)).encoder.case_features is not expected


@pytest.mark.parametrize("name", ["bert", "electra"])
def test_case_features_begin_at_zero_and_learn(tiny_encoder: Encoders, name: str) -> None:
    docs = [doc_of(["paris", "met", "the", "ibm"]), doc_of(["Paris", "met", "the", "IBM"])]
    plain = make(tiny_encoder(name), transformer_config=NO_DROPOUT)
    model = make(tiny_encoder(name), case_features=True, transformer_config=NO_DROPOUT)
    for vectors, other in zip(predict(model, docs), predict(plain, docs), strict=True):
        np.testing.assert_allclose(vectors, other, atol=1e-6)
    lower, capitals = predict(model, docs)
    np.testing.assert_allclose(lower, capitals, atol=1e-6)
    backward(model, docs, [np.ones_like(lower) * np.arange(32, dtype="f"), -np.ones_like(lower)])
    model.finish_update(build_adamw(0.01))
    lower, capitals = predict(model, docs)
    assert np.abs(lower - capitals).max() > 0.01
    table = get_shim(model).encoder.casing.weight
    pieces = get_shim(model).pieces
    used = {
        kind
        for doc in docs
        for word in words_of(pieces.encode([token.text for token in doc], 9))
        for kind in word.classes
    }
    used |= {0}
    assert len(table) == CLASSES
    assert set(torch.nonzero(table.abs().sum(dim=1)).flatten().tolist()) <= used
