"""Both forms of a corpus's documents: what each keeps, what is unknown in it, what it costs nobody."""

from pathlib import Path
from typing import Any

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span, SpanGroup, Token
from spacy.tokens.doc import DOCBIN_ALL_ATTRS
from spacy.training import Corpus, Example
from spacy.util import registry

from spacy_bert_ner.ner.gold import NO_TAG, gold_tags
from spacy_bert_ner.rawtext.retokenizing import both_forms, is_raw, number_documents, with_spaces
from spacy_bert_ner.tags import Entity, get_scheme
from tests.evaluation.evaluating import make_doc, write_corpus

NLP = spacy.blank("en")
LABELS = ["LOC", "MISC", "ORG", "PER"]


def example_of(doc: Doc) -> Example:
    """As spaCy's reader makes it."""
    if doc.has_unknown_spaces:
        return Example(Doc(NLP.vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc]), doc)
    return Example(NLP.make_doc(doc.text), doc)


def known(words: list[str], spaces: list[bool], *entities: Entity) -> Doc:
    doc = Doc(NLP.vocab, words=words, spaces=spaces)
    doc.set_ents([Span(doc, *entity) for entity in entities], default="outside")
    return doc


def tags_of(example: Example) -> list[str]:
    scheme = get_scheme("BIO")
    names = scheme.tags(LABELS)
    return ["-" if i == NO_TAG else names[i] for i in gold_tags([example], scheme, LABELS, "bert_ner").tolist()]


@pytest.mark.parametrize(
    ("words", "entities", "tokens", "tags"),
    [
        (
            "Franco-German talks .",
            [Entity(0, 1, "MISC")],
            ["Franco", "-", "German", "talks", "."],
            ["B-MISC", "I-MISC", "I-MISC", "O", "O"],
        ),
        ("Jane met IBM", [Entity(0, 1, "PER"), Entity(2, 3, "ORG")], ["Jane", "met", "IBM"], ["B-PER", "O", "B-ORG"]),
        ("Yes , he did n't .", [], ["Yes", ",", "he", "did", "n't", "."], ["O"] * 6),
    ],
)
def test_tokens_are_the_corpus_s_and_then_the_tokenizer_s(
    words: str, entities: list[Entity], tokens: list[str], tags: list[str]
) -> None:
    doc = make_doc(NLP, words, entities)
    first, second = both_forms(NLP, example_of(doc))
    assert [t.text for t in first.predicted] == [t.text for t in doc]
    assert tags_of(first) == get_scheme("BIO").encode(entities, len(doc))
    assert [t.text for t in second.predicted] == tokens
    assert tags_of(second) == tags
    assert (is_raw(first), is_raw(second)) == (False, True)
    assert second.predicted.text == second.reference.text
    # Labels are collected from references, whatever a form can keep.
    for form in (first, second):
        assert [(e.start, e.end, e.label_) for e in form.reference.ents] == [tuple(entity) for entity in entities]


def test_an_entity_that_the_tokenizer_cannot_keep_is_unknown_never_outside() -> None:
    doc = known(["the", "IBM", "s", "of", "Bonn"], [True, False, True, True, False])
    doc.set_ents([Span(doc, 1, 2, "ORG"), Span(doc, 4, 5, "LOC")], default="outside")
    first, second = both_forms(NLP, example_of(doc))
    assert tags_of(first) == ["O", "B-ORG", "O", "O", "B-LOC"]
    assert [t.text for t in second.predicted] == ["the", "IBMs", "of", "Bonn"]
    assert tags_of(second) == ["O", "-", "O", "B-LOC"]


def test_documents_with_their_own_spaces_have_both_forms() -> None:
    doc = known(["Anna", "Smith-Jones", " ", "sings", "."], [True, False, True, False, False], Entity(0, 2, "PER"))
    first, second = both_forms(NLP, example_of(doc))
    assert [t.text for t in first.predicted] == ["Anna", "Smith-Jones", " ", "sings", "."]
    assert first.predicted.text == second.predicted.text == doc.text
    assert [t.text for t in second.predicted][:4] == ["Anna", "Smith", "-", "Jones"]
    assert tags_of(second)[:4] == ["B-PER", "I-PER", "I-PER", "I-PER"]
    # The corpus itself is not marked.
    assert first.reference is doc
    assert doc.user_data == {}


def test_what_is_not_annotated_stays_unknown() -> None:
    doc = Doc(NLP.vocab, words=["Anna", "met", "Smith-Jones"])
    doc.set_ents([Span(doc, 0, 1, "PER")], missing=[doc[2:3]], default="outside")
    _, second = both_forms(NLP, example_of(doc))
    assert tags_of(second) == ["B-PER", "O", "-", "-", "-"]
    blank = Doc(NLP.vocab, words=["Anna"])
    assert [tags_of(form) for form in both_forms(NLP, example_of(blank))] == [["-"], ["-"]]


def test_an_empty_document_has_one_form() -> None:
    assert len(list(both_forms(NLP, example_of(Doc(NLP.vocab))))) == 1


def test_long_texts_are_cut() -> None:
    nlp = spacy.blank("en")
    nlp.max_length = 10
    doc = make_doc(nlp, "Jane met IBM today", [Entity(0, 1, "PER")])
    assert len(list(both_forms(nlp, example_of(doc)))) == 2


def test_a_copy_with_other_spaces_keeps_all_annotation() -> None:
    words = ["Jane", "'s", "dog", "Rex"]
    doc = Doc(
        NLP.vocab,
        words=words,
        tags=["NNP", "POS", "NN", "NNP"],
        lemmas=["Jane", "'s", "dog", "Rex"],
        heads=[2, 0, 2, 2],
        deps=["poss", "case", "ROOT", "appos"],
    )
    doc.set_ents([Span(doc, 0, 1, "PER", kb_id="Q1", span_id="x")], blocked=[doc[2:3]], default="missing")
    doc.cats = {"pet": 1.0}
    doc.spans["all"] = SpanGroup(doc, spans=[Span(doc, 2, 4, "PET")], attrs={"scores": [0.5]})
    doc.user_data["source"] = "here"
    Token.set_extension("mood", default=None, force=True)
    Span.set_extension("mood", default=None, force=True)
    Doc.set_extension("mood", default=None, force=True)
    try:
        doc[3]._.mood, doc[2:4]._.mood, doc._.mood = "happy", "calm", "good"
        copy = with_spaces(doc, [False, True, True, False])
        assert (copy[3]._.mood, copy[2:4]._.mood, copy._.mood) == ("happy", "calm", "good")
    finally:
        for kind in (Token, Span, Doc):
            kind.remove_extension("mood")
    assert (doc.text, copy.text) == ("Jane 's dog Rex ", "Jane's dog Rex")
    assert not copy.has_unknown_spaces
    assert (copy.to_array(DOCBIN_ALL_ATTRS) == doc.to_array(DOCBIN_ALL_ATTRS)).all()
    assert copy.cats == {"pet": 1.0}
    assert [(s.text, s.label_) for s in copy.spans["all"]] == [("dog Rex", "PET")]
    assert copy.spans["all"].attrs == {"scores": [0.5]}
    assert copy.user_data["source"] == "here"


def corpus_with_augmenter(path: Path) -> Any:
    block = {"@readers": "spacy.Corpus.v1", "path": str(path), "max_length": 0, "gold_preproc": False}
    augmenter = {"@augmenters": "spacy-bert-ner.retokenize.v1"}
    return registry.resolve({"corpus": {**block, "augmenter": augmenter}})["corpus"]


def test_a_reader_gives_both_forms_by_its_config(tmp_path: Path) -> None:
    docs = [make_doc(NLP, "Jane met IBM", [Entity(0, 1, "PER")]), make_doc(NLP, "A well-known man", [])]
    path = write_corpus(tmp_path / "train.spacy", docs)
    examples = list(corpus_with_augmenter(path)(NLP))
    assert [is_raw(example) for example in examples] == [False, True, False, True]
    assert [number for number, _ in number_documents(examples)] == [0, 0, 1, 1]
    assert [is_raw(example) for example in Corpus(path)(NLP)] == [False] * 2


def test_a_saved_document_is_not_marked(tmp_path: Path) -> None:
    doc = known(["Jane"], [False], Entity(0, 1, "PER"))
    list(both_forms(NLP, example_of(doc)))
    assert (
        DocBin(docs=[doc], store_user_data=True).to_bytes()
        == DocBin(docs=[known(["Jane"], [False], Entity(0, 1, "PER"))], store_user_data=True).to_bytes()
    )


PIECES = st.lists(
    st.tuples(
        st.sampled_from(["Anna", "U.N.", "-", "'", "'s", "«", "\n", " ", "北京", "a-b", "can", "not", "🙂", "x\u0301"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@given(PIECES, st.lists(st.integers(0, 3), min_size=12, max_size=12), st.booleans())
def test_any_document_has_two_forms_that_contradict_nothing(
    pieces: list[tuple[str, bool]], lengths: list[int], has_spaces: bool
) -> None:
    words = [word for word, _ in pieces]
    entities, at = [], 0
    for length in lengths:
        if length and at + length <= len(words):
            entities.append(Entity(at, at + length, "PER"))
        at += max(length, 1)
    doc = Doc(NLP.vocab, words=words, spaces=[space for _, space in pieces] if has_spaces else None)
    doc.set_ents([Span(doc, *entity) for entity in entities], default="outside")
    first, second = both_forms(NLP, example_of(doc))
    assert second.predicted.text == second.reference.text
    assert second.predicted.text.replace(" ", "") == "".join(words).replace(" ", "")
    inside = {c for ent in second.reference.ents for c in range(ent.start_char, ent.end_char)}
    for token, tag in zip(second.predicted, tags_of(second), strict=True):
        # Where white space belongs is nothing that spaCy's alignment says.
        characters = {token.idx + i for i, character in enumerate(token.text) if not character.isspace()}
        if tag == "O":
            assert not characters & inside
        elif tag not in ("O", "-"):
            assert characters <= inside
    assert len(tags_of(first)) == len(words)
