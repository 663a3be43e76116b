"""A document that fails in a stream takes no other with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc

from spacy_bert_ner.encoder import model as encoder_model
from spacy_bert_ner.encoder.pieces import WordPieces
from spacy_bert_ner.encoder.words import Encoded
from spacy_bert_ner.ner.component import BertNER
from tests.scenarios import CNN, TEXTS, entities, expected_entities, make_pipeline, train

BAD = "a poisonous text"
STREAM = [TEXTS[0], BAD, TEXTS[1], "", TEXTS[2]]
Failure = tuple[str, list[str], str]


class PoisonError(Exception):
    """A fault that was injected."""


@pytest.fixture(scope="module")
def trained(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    nlp = make_pipeline(tiny_bert)
    train(nlp)
    folder = tmp_path_factory.mktemp("trained")
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def nlp(trained: Path) -> Language:
    return spacy.load(trained)


def collect(nlp: Language) -> list[Failure]:
    """Set an error handler. RETURNS: A list that it fills: component, texts, error."""
    failures: list[Failure] = []

    def handler(name: str, component: Any, docs: list[Doc], error: Exception) -> None:
        assert component is nlp.get_pipe(name)
        failures.append((name, [doc.text for doc in docs], repr(error)))

    nlp.set_error_handler(handler)
    return failures


# Faults: each makes whatever sees the bad document raise, and the rest work as before.


def in_the_tokenizer(patch: pytest.MonkeyPatch) -> None:
    encode = WordPieces.encode

    def poisoned(self: WordPieces, words: list[str], most: int) -> Encoded:
        if "poisonous" in words:
            raise PoisonError
        return encode(self, words, most)

    patch.setattr(WordPieces, "encode", poisoned)


def in_the_encoder(patch: pytest.MonkeyPatch) -> None:
    def poisoned(layout: Any, *args: Any) -> torch.Tensor:
        # Letter by letter, but for the first word: what no other document has.
        if any(list(counts) == [1, 9, 4] for counts in layout.counts):
            raise PoisonError
        return encode(layout, *args)

    encode = encoder_model.encode_documents
    patch.setattr(encoder_model, "encode_documents", poisoned)


def in_decoding(patch: pytest.MonkeyPatch) -> None:
    decode = BertNER.decode

    def poisoned(self: BertNER, docs: list[Doc]) -> Any:
        if any(doc.text == BAD for doc in docs):
            raise PoisonError
        return decode(self, docs)

    patch.setattr(BertNER, "decode", poisoned)


def in_annotation(patch: pytest.MonkeyPatch) -> None:
    # Documents before the bad one are annotated already.
    set_annotations = BertNER.set_annotations

    def poisoned(self: BertNER, docs: list[Doc], predictions: list[Any]) -> None:
        for doc, prediction in zip(docs, predictions, strict=True):
            if doc.text == BAD:
                raise PoisonError
            set_annotations(self, [doc], [prediction])

    patch.setattr(BertNER, "set_annotations", poisoned)


FAULTS = [in_the_tokenizer, in_the_encoder, in_decoding, in_annotation]


@pytest.mark.parametrize("batch_size", [2, 100])
@pytest.mark.parametrize("inject", FAULTS)
def test_only_the_bad_document_is_lost(
    nlp: Language, inject: Callable[[pytest.MonkeyPatch], None], batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = collect(nlp)
    inject(monkeypatch)
    pairs = list(nlp.pipe(zip(STREAM, range(5), strict=True), as_tuples=True, batch_size=batch_size))
    assert [context for _, context in pairs] == [0, 2, 3, 4]
    assert [entities(doc) for doc, context in pairs if context != 3] == expected_entities()
    assert all(len(doc.spans["bert_ner"]) == len(doc.ents) for doc, _ in pairs)
    assert all(span._.confidence > 0.5 for doc, _ in pairs for span in doc.ents)
    assert failures == [("bert_ner", [BAD], "PoisonError()")]


@pytest.mark.parametrize("inject", FAULTS)
def test_without_a_handler_the_error_is_raised(
    nlp: Language, inject: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(monkeypatch)
    for call in (lambda: list(nlp.pipe(STREAM)), lambda: nlp(BAD)):
        with pytest.raises(PoisonError):
            call()
    assert entities(nlp(TEXTS[0])) == expected_entities()[0]


def test_a_handler_may_raise(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(name: str, component: Any, docs: list[Doc], error: Exception) -> None:
        raise KeyError(docs[0].text) from error

    nlp.set_error_handler(handler)
    in_the_encoder(monkeypatch)
    with pytest.raises(KeyError, match="poisonous") as raised:
        list(nlp.pipe(STREAM))
    assert isinstance(raised.value.__cause__, PoisonError)


def test_all_documents_are_bad(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = collect(nlp)
    in_the_encoder(monkeypatch)
    assert list(nlp.pipe([BAD, BAD])) == []
    assert [texts for _, texts, _ in failures] == [[BAD], [BAD]]


def test_a_batch_that_fails_as_a_whole(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    def short_of_memory(layout: Any, *args: Any) -> torch.Tensor:
        if len(layout.counts) > 1:
            raise MemoryError("not so much")
        return encode(layout, *args)

    encode = encoder_model.encode_documents
    monkeypatch.setattr(encoder_model, "encode_documents", short_of_memory)
    with pytest.raises(MemoryError):
        list(nlp.pipe(TEXTS))
    failures = collect(nlp)
    with pytest.warns(
        UserWarning, match=r"none of them alone: not so much\. If memory is short, lower nlp\.batch_size"
    ):
        docs = list(nlp.pipe(TEXTS))
    assert failures == []
    assert [entities(doc) for doc in docs] == expected_entities()


def test_components_without_an_encoder_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": {"tok2vec": CNN}}).add_label("PER")  # type: ignore[attr-defined]
    nlp.initialize()
    failures = collect(nlp)
    in_decoding(monkeypatch)
    assert [doc.text for doc in nlp.pipe(STREAM)] == [text for text in STREAM if text != BAD]
    assert failures == [("bert_ner", [BAD], "PoisonError()")]
