"""Any text is read, and learnt from."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.encoder.pieces import WordPieces
from spacy_bert_ner.encoder.words import Sightings
from spacy_bert_ner.training.optimizer import build_adamw
from tests.encoder.encoders import (
    WEIRD,
    Encoders,
    doc_of,
    gradients,
    long_doc,
    make,
    split,
    words_of,
)


@pytest.mark.parametrize(
    "name", ["bert", "generic", "roberta", "distilbert", "electra", "xlm-roberta", "mpnet", "deberta-v2"]
)
@pytest.mark.parametrize("case_features", [False, True])
def test_every_encoder_reads_every_text_and_learns(tiny_encoder: Encoders, name: str, case_features: bool) -> None:
    model = make(tiny_encoder(name), case_features=case_features)
    docs = [long_doc(150), doc_of([]), doc_of(WEIRD), doc_of(["\x01"])]
    batch = model.predict(docs)
    assert model.get_dim("nO") == 32
    for doc, data in zip(docs, split(batch), strict=True):
        assert len(data.lengths) == len(doc)
        assert (data.lengths > 0).all()
        assert data.data.shape == (data.lengths.sum(), 32)
        assert np.isfinite(data.data).all()
    # At most a window holds of one word.
    assert split(batch)[2].lengths.max() <= 62

    target = [np.zeros_like(data.data) for data in split(batch)]
    optimizer = build_adamw(0.01)
    losses = []
    for _ in range(4):
        vectors, backprop = model.begin_update(docs)
        d = [data.data - goal for data, goal in zip(split(vectors), target, strict=True)]
        losses.append(sum(float((array**2).sum()) for array in d))
        assert backprop(vectors.with_data(np.concatenate(d))) is docs
        model.finish_update(optimizer)
        optimizer.step_schedules()
    assert losses[-1] < 0.99 * losses[0]


def test_special_pieces_in_a_text_are_text(tiny_encoder: Encoders) -> None:
    for name, marks in [("bert", ["[SEP]", "[PAD]"]), ("roberta", ["</s>", "<pad>"])]:
        pieces = get_shim(make(tiny_encoder(name))).pieces
        for same in (pieces, pickle.loads(pickle.dumps(pieces)), WordPieces.from_dict(pieces.to_dict())):
            for ids, _ in words_of(same.encode(marks, 99)):
                assert len(ids) > 1
                pads = {pieces.backend.token_to_id(mark) for mark in ("[PAD]", "<pad>")}
                assert not {*pieces.settings["prefix"], *pieces.settings["suffix"], *pads} & set(ids)


def test_batches_without_any_word(tiny_bert: Path) -> None:
    model = make(tiny_bert)
    docs = [doc_of([]), doc_of([])]
    assert [len(data.lengths) for data in split(model.predict(docs))] == [0, 0]
    batch, backprop = model.begin_update(docs)
    assert backprop(batch) is docs
    assert split(model.predict([])) == []
    assert gradients(model) == {}


def test_words_are_remembered_within_bounds(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spacy_bert_ner.encoder.pieces.CACHE_SIZE", 10)
    pieces = get_shim(make(tiny_bert)).pieces
    fresh = pickle.loads(pickle.dumps(pieces))
    for start in range(0, 40, 4):
        words = [f"w{i}" for i in range(start, start + 4)] + ["the"]
        assert words_of(pieces.encode(words, 9)) == words_of(fresh.encode(words, 9))
        assert len(pieces._table) <= 10


def test_words_that_come_once_are_not_remembered(tiny_bert: Path) -> None:
    pieces = get_shim(make(tiny_bert)).pieces
    fresh = pickle.loads(pickle.dumps(pieces))
    for i in range(300):
        words = ["the", f"w{i}", "The", f"W{i}", "the"]
        found = pieces.encode(words, 9)
        assert words_of(found) == words_of(fresh.encode(words, 9))
        assert found.folded[0] == found.folded[2] == found.folded[4]
        assert found.folded[1] == found.folded[3] != found.folded[0]
    # Few of the others are taken for ones that were seen.
    assert 2 <= len(pieces._table) < 10


def test_sightings() -> None:
    sightings = Sightings()
    words = [f"word {i}" for i in range(1000)]
    assert sum(sightings.note(word) for word in words) < 20
    assert all(sightings.note(word) for word in words)
    for i in range(Sightings.BUCKETS):
        sightings.note(f"other {i}")
    # It never fills up, so that what is new stays new for the most part.
    assert sum(sightings.note(f"new {i}") for i in range(1000)) < 400
