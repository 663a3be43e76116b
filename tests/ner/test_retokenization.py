"""A confidence stays with its characters and label, whatever is done to the tokens and the document."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.pipeline.functions import merge_entities
from spacy.tokens import Doc, DocBin, Span, SpanGroup

from spacy_bert_ner.evaluation import evaluate
from spacy_bert_ner.ner import annotations as output
from spacy_bert_ner.ner.annotations import DocEntities, set_entities, set_spans
from spacy_bert_ner.tags import Entity

NLP = spacy.blank("en")
WORDS = ["They", "flew", "with", "Angela", "Merkel", "to", "the", "World", "Health", "Organization", "in", "Geneva"]
ENTITIES = [Entity(3, 5, "PER"), Entity(6, 10, "ORG"), Entity(11, 12, "LOC")]
SCORES = [0.9, 0.6, 0.3]
Key = tuple[int, int, str]


def annotate(doc: Doc, entities: list[Entity], scores: list[float], key: str = "bert_ner") -> Doc:
    values = np.array(scores, dtype=np.float32)
    set_entities(doc, entities, overwrite=False)
    set_spans(doc, DocEntities(entities, values, values, [""] * len(scores), values), key)
    return doc


def make_doc() -> Doc:
    return annotate(Doc(NLP.vocab, words=WORDS), ENTITIES, SCORES)


def read(doc: Doc) -> list[tuple[str, float | None]]:
    return [(ent.text, ent._.confidence) for ent in doc.ents]


def key_of(span: Span) -> Key:
    return span.start_char, span.end_char, span.label_


EXPECTED = [
    ("Angela Merkel", pytest.approx(0.9)),
    ("the World Health Organization", pytest.approx(0.6)),
    ("Geneva", pytest.approx(0.3)),
]

COPIES: dict[str, Callable[[Doc], Doc]] = {
    "itself": lambda doc: doc,
    "copy": Doc.copy,
    "bytes": lambda doc: Doc(NLP.vocab).from_bytes(doc.to_bytes()),
    "pickle": lambda doc: pickle.loads(pickle.dumps(doc)),
    "DocBin": lambda doc: next(iter(DocBin().from_bytes(DocBin(docs=[doc]).to_bytes()).get_docs(NLP.vocab))),
}


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("merged", ["not", "before", "after"])
def test_confidences_survive_merging_and_copying(copy: str, merged: str) -> None:
    doc = make_doc()
    if merged == "before":
        merge_entities(doc)
    doc = COPIES[copy](doc)
    if merged == "after":
        merge_entities(doc)
    assert read(doc) == EXPECTED
    # What was saved and read back is a plain SpanGroup.
    if merged != "after" or copy in ("itself", "copy"):
        assert [(span.text, span.label_) for span in doc.spans["bert_ner"]] == [(e.text, e.label_) for e in doc.ents]


def test_a_group_of_a_merged_document_stays_parallel_to_its_confidences() -> None:
    doc = make_doc()
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[4:6])  # Merkel to
        retokenizer.merge(doc[10:12])  # in Geneva
    group = doc.spans["bert_ner"]
    assert [span.text for span in group] == ["Angela Merkel to", "the World Health Organization", "in Geneva"]
    assert [span._.confidence for span in group] == [None, pytest.approx(0.6), None]
    assert group[-1].text == "in Geneva"
    with pytest.raises(IndexError):
        group[3]
    group.append(doc[0:1])
    assert group[3].text == "They"


def test_another_label_for_the_same_characters_has_no_confidence() -> None:
    doc = make_doc()
    doc.set_ents([Span(doc, 3, 5, "ORG"), Span(doc, 11, 12, "LOC")])
    assert read(doc) == [("Angela Merkel", None), ("Geneva", pytest.approx(0.3))]


def test_what_keeps_no_group_gives_none_and_no_exception() -> None:
    doc = make_doc()
    assert read(doc[3:12].as_doc()) == [(text, None) for text, _ in EXPECTED]
    both = Doc.from_docs([doc, make_doc()])
    assert read(both) == [(text, None) for text, _ in EXPECTED * 2]
    assert read(Doc(NLP.vocab).from_json(doc.to_json())) == [(text, None) for text, _ in EXPECTED]


@pytest.mark.parametrize("attrs", [{}, {"scores": [0.5]}, {"scores": [0.5], "start_char": [0]}, {"start_char": "x"}])
def test_groups_of_others_are_passed_over(attrs: dict) -> None:
    doc = Doc(NLP.vocab, words=["Ann"])
    doc.ents = [Span(doc, 0, 1, "PER")]
    doc.spans["theirs"] = SpanGroup(doc, spans=[doc[0:1]], attrs=attrs)
    assert read(doc) == [("Ann", None)]
    annotate(doc, [Entity(0, 1, "PER")], [0.5])
    assert read(doc) == [("Ann", 0.5)]


def test_scores_that_a_user_has_thinned_out_are_nobodys() -> None:
    doc = make_doc()
    doc.spans["bert_ner"].attrs["scores"] = doc.spans["bert_ner"].attrs["scores"][1:]
    assert [confidence for _, confidence in read(doc)] == [None] * 3


@st.composite
def retokenized(draw: st.DrawFn) -> tuple[Doc, dict[Key, float]]:
    """RETURNS: A document with entities whose tokens were merged and split, and each entity's confidence before."""
    words = draw(
        st.lists(st.sampled_from(["Ann", "Lee", "née", "😀", "of", "\n", "a", "Bonn-"]), min_size=1, max_size=12)
    )
    spaces = draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    doc = Doc(NLP.vocab, words=words, spaces=spaces)
    entities, at = [], 0
    while at < len(words):
        end = min(len(words), at + draw(st.integers(1, 3)))
        if draw(st.booleans()):
            entities.append(Entity(at, end, draw(st.sampled_from(["PER", "LOC"]))))
        at = end
    annotate(doc, entities, [(i + 1) / 100 for i in range(len(entities))])
    before = {key_of(ent): ent._.confidence for ent in doc.ents}
    for _ in range(draw(st.integers(0, 3))):
        retokenize(draw, doc)
    return doc, before


def entities_of(doc: Doc) -> tuple[Span, ...]:
    """RETURNS: doc.ents; none where spaCy's merging within an entity has left tags that itself refuses to read."""
    try:
        return tuple(doc.ents)
    except ValueError as error:
        if "E093" not in str(error):
            raise
        return ()


def retokenize(draw: st.DrawFn, doc: Doc) -> None:
    start = draw(st.integers(0, len(doc) - 1))
    with doc.retokenize() as retokenizer:
        if len(doc[start]) > 1 and draw(st.booleans()):
            text = doc[start].text
            retokenizer.split(doc[start], [text[:1], text[1:]], heads=[doc[start], doc[start]])
        else:
            retokenizer.merge(doc[start : draw(st.integers(start + 1, len(doc)))])


@given(retokenized())
@settings(max_examples=200)
def test_after_any_retokenization_a_confidence_is_the_entitys_own_or_none(case: tuple[Doc, dict[Key, float]]) -> None:
    doc, before = case
    for ent in entities_of(doc):
        assert ent._.confidence == before.get(key_of(ent))
    group = doc.spans["bert_ner"]
    assert len(list(group)) == len(before)
    for span, (start, end, label) in zip(group, before, strict=True):
        assert span.start_char <= start < end <= span.end_char
        assert (span.label_, doc.text[start:end]) == (label, doc.text[start:end])
        assert span._.confidence == before.get(key_of(span))
    saved = Doc(NLP.vocab).from_bytes(doc.to_bytes())
    assert [key_of(span) for span in saved.spans["bert_ner"]] == [key_of(span) for span in group]


def test_looking_up_all_confidences_takes_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    class Counting(list):
        def __getitem__(self, i):
            nonlocal count
            count += 1
            return super().__getitem__(i)

    n = 20_000
    doc = annotate(
        Doc(NLP.vocab, words=["Ann", "met"] * n), [Entity(2 * i, 2 * i + 1, "PER") for i in range(n)], [0.5] * n
    )
    attrs = doc.spans["bert_ner"].attrs
    for key in output.PLACE_KEYS:
        attrs[key] = Counting(attrs[key])
    monkeypatch.setattr(output.EntityGroup, "__getitem__", None)
    ents = doc.ents[:: n // 10]
    assert {ent._.confidence for ent in ents} == {0.5}
    assert count <= 20 * len(ents)


def test_saved_documents_are_read_with_a_blank_pipeline(tmp_path: Path) -> None:
    DocBin(docs=[merge_entities(make_doc())], store_user_data=True).to_disk(tmp_path / "out.spacy")
    code = (
        "import spacy, spacy_bert_ner; from spacy.tokens import DocBin; nlp = spacy.blank('xx'); "
        f"(doc,) = DocBin().from_disk({str(tmp_path / 'out.spacy')!r}).get_docs(nlp.vocab); "
        "print([round(ent._.confidence, 3) for ent in doc.ents])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[0.9, 0.6, 0.3]"


def test_documents_come_back_from_other_processes() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("annotating")
    nlp.add_pipe("merge_entities")
    text = " ".join(WORDS)
    for doc in nlp.pipe([text] * 2, n_process=2):
        assert read(doc) == EXPECTED
        assert [span.text for span in doc.spans["bert_ner"]] == [text for text, _ in EXPECTED]


@pytest.mark.parametrize("spans_key", [None, "bert_ner"])
def test_evaluation_reads_the_confidences_of_merged_entities(tmp_path: Path, spans_key: str | None) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("annotating")
    nlp.add_pipe("merge_entities")
    DocBin(docs=[make_doc()] * 2).to_disk(tmp_path / "gold.spacy")
    metrics = evaluate(nlp, tmp_path / "gold.spacy", spans_key=spans_key).metrics
    assert metrics["f1"] == metrics["raw_text"]["f1"] == 1
    assert metrics["raw_text"]["recall_by_tokens"]["cut otherwise"]["gold"] == 0
    assert metrics["scores"]["without"] == 0
    assert metrics["scores"]["summary"]["entities"] == 6


@Language.component("annotating")
def annotating(doc: Doc) -> Doc:
    return annotate(doc, ENTITIES, SCORES)
