"""A document that fails in a `transformer` with our encoder takes no other with it."""

from pathlib import Path
from typing import Any

import pytest
import spacy
import torch
from spacy.language import Language

from tests.bridge.test_bridge import make_nlp
from tests.scenarios import entities, expected_entities, train

pytestmark = pytest.mark.bridge

BAD = "a poisonous text"
TEXTS = ["Jane met IBM", "IBM works near Paris", "the unlucky Londoners"]
STREAM = [TEXTS[0], BAD, TEXTS[1], "", TEXTS[2]]


class PoisonError(Exception):
    """A fault that was injected."""


@pytest.fixture(scope="module")
def trained(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    nlp = make_nlp(tiny_bert, ("bert_ner",))
    train(nlp)
    folder = tmp_path_factory.mktemp("trained")
    nlp.to_disk(folder)
    return folder


def poison(patch: pytest.MonkeyPatch) -> None:
    from spacy_bert_ner.bridge import transformer_model

    encode = transformer_model.encode_documents

    def poisoned(layout: Any, *args: Any) -> torch.Tensor:
        # Letter by letter, but for the first word: what no other document has.
        if any(list(counts) == [1, 9, 4] for counts in layout.counts):
            raise PoisonError
        return encode(layout, *args)

    patch.setattr(transformer_model, "encode_documents", poisoned)


def collect(nlp: Language) -> list[Any]:
    failures: list[Any] = []
    nlp.set_error_handler(lambda name, pipe, docs, error: failures.append((name, [d.text for d in docs], repr(error))))  # type: ignore
    return failures


@pytest.mark.parametrize("batch_size", [2, 100])
def test_only_the_bad_document_is_lost(trained: Path, batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = spacy.load(trained)
    failures = collect(nlp)
    poison(monkeypatch)
    docs = list(nlp.pipe(STREAM, batch_size=batch_size))
    assert [doc.text for doc in docs] == [text for text in STREAM if text != BAD]
    assert [entities(doc) for doc in docs if len(doc)] == expected_entities()
    assert failures == [("bert_ner", [BAD], "PoisonError()")]


def test_what_stands_for_a_failed_document(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spacy_bert_ner.bridge.faults import Unencoded

    nlp = spacy.load(trained, exclude=["bert_ner"])
    poison(monkeypatch)
    good, bad, *_ = nlp.pipe(STREAM)
    data = bad._.trf_data
    assert isinstance(data, Unencoded)
    assert repr(data) == "Unencoded(PoisonError())"
    for read in (lambda: data.model_output, lambda: data.align, lambda: data.tensors, bad.to_bytes):
        with pytest.raises(PoisonError):
            read()
    batch: Any = nlp.get_pipe("transformer").model.predict([good, bad, good])  # type: ignore
    pieces = len(good._.trf_data.align.dataXd)
    assert batch.model_output.last_hidden_state.shape == (2 * pieces, 32)
    assert batch.align.dataXd.tolist() == list(range(2 * pieces))
    assert [len(spans) for spans in batch.spans] == [1, 0, 1]
