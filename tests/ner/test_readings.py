"""The most probable readings of a text, from Python."""

from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy import displacy
from spacy.tokens import Doc

import spacy_bert_ner
from tests.ner.test_annotations import SCORES, WORDS, build
from tests.scenarios import make_pipeline


def places(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def test_readings_are_documents_with_probabilities() -> None:
    nlp, component = build()
    component.cfg["temperature"] = 1.5
    doc = nlp(Doc(nlp.vocab, words=WORDS))
    found = spacy_bert_ner.readings(nlp, doc, k=4)
    assert [places(reading.doc) for reading in found[:3]] == [
        [("Peter Blackburn", "PER"), ("Paris", "LOC")],
        [("Peter Blackburn", "PER"), ("Paris", "PER")],
        [("Peter Blackburn", "PER")],
    ]
    assert places(found[0].doc) == places(doc)
    # They differ in one token, whose logits are 2, 1.5 and 1.
    odds = [found[0].probability / reading.probability for reading in found[1:3]]
    assert odds == pytest.approx([np.exp(0.5 / 1.5), np.exp(1 / 1.5)])
    assert sum(reading.probability for reading in spacy_bert_ner.readings(nlp, doc, k=10_000)) == pytest.approx(1)
    assert "Blackburn" in displacy.render(found[1].doc, style="ent", jupyter=False)


def test_sentences_are_read_apart_and_in_their_document() -> None:
    nlp, _ = build()
    words = WORDS + WORDS
    doc = Doc(nlp.vocab, words=words, sent_starts=[i in (0, 5) for i in range(10)])
    both = spacy_bert_ner.readings(nlp, doc, k=3)
    first, second = (spacy_bert_ner.readings(nlp, sentence, k=3) for sentence in doc.sents)
    assert [len(reading.doc) for reading in (both[0], first[0], second[0])] == [10, 5, 5]
    assert both[0].probability == pytest.approx(first[0].probability * second[0].probability)
    assert places(both[0].doc) == places(first[0].doc) + places(second[0].doc)
    assert [reading.probability for reading in both] == sorted((r.probability for r in both), reverse=True)
    assert list(doc.ents) == []


def test_readings_that_differ_in_white_space_are_one() -> None:
    nlp, _ = build()
    doc = Doc(nlp.vocab, words=["Peter", "\n"])
    assert len(SCORES) > len(doc)
    found = spacy_bert_ner.readings(nlp, doc, k=100)
    assert len({tuple(places(reading.doc)) for reading in found}) == len(found)
    assert sum(reading.probability for reading in found) == pytest.approx(1)
    assert found[0].probability == max(reading.probability for reading in found)


def test_a_text_runs_what_stands_before(tiny_bert: Path) -> None:
    nlp = make_pipeline(tiny_bert)
    nlp.add_pipe("sentencizer", first=True)
    (best, *_) = spacy_bert_ner.readings(nlp, "Jane met IBM. IBM works near Paris.", k=2)
    doc = nlp("Jane met IBM. IBM works near Paris.")
    assert places(best.doc) == places(doc)
    shared = make_pipeline(tiny_bert, ("tagger", "bert_ner"))
    (best, *_) = spacy_bert_ner.readings(shared, "Jane met IBM", k=2)
    assert places(best.doc) == places(shared("Jane met IBM"))
    (only,) = spacy_bert_ner.readings(nlp, "", k=2)
    assert (only.probability, len(only.doc)) == (1.0, 0)


def test_what_cannot_be_read() -> None:
    nlp, _ = build()
    with pytest.raises(ValueError, match="k is 0"):
        spacy_bert_ner.readings(nlp, "Peter", k=0)
    with pytest.raises(ValueError, match="component is 'ner': the pipeline's bert_ner components are bert_ner"):
        spacy_bert_ner.readings(nlp, "Peter", component="ner")
    with pytest.raises(ValueError, match="are none; name one"):
        spacy_bert_ner.readings(spacy.blank("en"), "Peter")
