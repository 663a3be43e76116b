"""The vectors of a plain transformer, for documents of any length."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from spacy_bert_ner.encoder.model import get_shim
from tests.encoder.encoders import (
    WORDS,
    Encoders,
    doc_of,
    long_doc,
    make,
    predict,
    split,
)


@pytest.mark.parametrize(
    "name",
    ["bert", "bert-cased", "generic", "roberta", "xlm-roberta", "electra", "distilbert", "deberta-v2", "mpnet"],
)
def test_equals_a_plain_forward_pass(tiny_encoder: Encoders, name: str) -> None:
    doc = doc_of(WORDS)
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder(name), add_prefix_space=True)
    plain = AutoModel.from_pretrained(tiny_encoder(name)).eval()
    inputs = tokenizer(WORDS, is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        expected = plain(**inputs).last_hidden_state[0]
    for case_features in (False, True):
        model = make(tiny_encoder(name), case_features=case_features)
        data = split(model.predict([doc]))[0]
        pieces = get_shim(model).pieces
        inner = pieces.encode(WORDS, 99).ids.tolist()
        ids = [*pieces.settings["prefix"], *inner, *pieces.settings["suffix"]]
        assert ids == inputs["input_ids"][0].tolist()
        np.testing.assert_allclose(data.data, expected[1:-1].numpy(), atol=1e-5)
        # Alignment: each piece belongs to the word that transformers says.
        words = inputs.word_ids()[1:-1]
        assert np.repeat(np.arange(len(doc)), data.lengths).tolist() == words


def test_the_company_in_a_batch_does_not_matter(tiny_bert: Path) -> None:
    model = make(tiny_bert, max_batch_pieces=256)
    docs = [long_doc(length, seed=length) for length in (1, 7, 300, 0, 40, 90, 2)]
    together = predict(model, docs)
    for doc, vectors in zip(docs, together, strict=True):
        np.testing.assert_allclose(vectors, predict(model, [doc])[0], atol=1e-5)
    small = predict(make(tiny_bert, max_batch_pieces=1), docs)
    for vectors, other in zip(together, small, strict=True):
        np.testing.assert_allclose(vectors, other, atol=1e-5)


def test_a_word_changes_nothing_outside_its_windows(tiny_bert: Path) -> None:
    model = make(tiny_bert, window=34, stride=24)
    words = ["the"] * 200
    before = predict(model, [doc_of(words)])[0]
    words[100] = "paris"
    after = predict(model, [doc_of(words)])[0]
    changed = np.flatnonzero(np.abs(after - before).max(axis=1) > 1e-6)
    assert len(changed) > 16
    assert 100 in changed
    assert changed.min() > 100 - 32
    assert changed.max() < 100 + 32


def test_long_documents_read_each_piece_from_its_best_window(tiny_bert: Path) -> None:
    # One window after another by hand: 5 windows of 32 words, 22 apart.
    model = make(tiny_bert, window=34, stride=24)
    words = [WORDS[i % 7] for i in range(120)]
    pieces = get_shim(model).pieces
    words = [word for word in words if len(pieces.encode([word], 9).ids) == 1]
    words = (words * 3)[:120]
    whole = predict(model, [doc_of(words)])[0]
    starts = [0, 22, 44, 66, 88]
    single = make(tiny_bert, window=34, stride=34)
    parts = [predict(single, [doc_of(words[start : start + 32])])[0] for start in starts]
    for word in range(120):
        window = min(range(5), key=lambda i: (abs(word + 0.5 - (starts[i] + 16)), -i))
        np.testing.assert_allclose(whole[word], parts[window][word - starts[window]], atol=1e-5)


def test_sentence_starts_are_used_where_known(tiny_bert: Path) -> None:
    model = make(tiny_bert, window=34, stride=24)
    doc = doc_of(["the"] * 60)
    unknown = predict(model, [doc])[0]
    for token in doc:
        token.is_sent_start = token.i in (0, 13)
    np.testing.assert_raises(AssertionError, np.testing.assert_allclose, predict(model, [doc])[0], unknown, atol=1e-6)
