"""Gold tags: the short way equals spaCy's own alignment."""

import numpy as np
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_bert_ner.ner.gold import gold_tags
from spacy_bert_ner.tags import get_scheme

VOCAB = spacy.blank("en").vocab
LABELS = ["LOC", "PER"]

# Each token: what is said of it. Equal neighbours that continue make one entity.
STATES = st.lists(st.sampled_from(["outside", "missing", "blocked", "LOC", "PER", "more", "space"]), max_size=12)


def annotate(states: list[str]) -> Doc:
    doc = Doc(VOCAB, words=["\n" if state == "space" else f"w{i}" for i, state in enumerate(states)])
    entities: list[list] = []
    for i, state in enumerate(states):
        if state in LABELS:
            entities.append([i, i + 1, state])
        elif state == "more" and entities and entities[-1][1] == i:
            entities[-1][1] = i + 1
    outside = [doc[i : i + 1] for i, state in enumerate(states) if state == "outside"]
    blocked = [doc[i : i + 1] for i, state in enumerate(states) if state == "blocked"]
    doc.set_ents([Span(doc, *entity) for entity in entities], outside=outside, blocked=blocked, default="missing")
    return doc


@given(STATES)
def test_the_short_way_equals_spacys_alignment(states):
    reference = annotate(states)
    predicted = Doc(VOCAB, words=[token.text for token in reference])
    example = Example(predicted, reference)
    for scheme in map(get_scheme, ("BIO", "BILUO")):
        tags = [None if tag < 0 else scheme.tags(LABELS)[tag] for tag in gold_tags([example], scheme, LABELS, "ner")]
        expected = example.get_aligned_ner()
        if scheme.name == "BIO":
            expected = [tag and tag.replace("U-", "B-").replace("L-", "I-") for tag in expected]
        assert tags == expected


def test_other_tokens_are_aligned():
    predicted = Doc(VOCAB, words=["New", "Yorkers", "in", "Rome"])
    reference = Doc(VOCAB, words=["New", "York", "ers", "in", "Rome"], spaces=[True, False, True, True, False])
    reference.set_ents([Span(reference, 0, 2, "LOC"), Span(reference, 4, 5, "LOC")])
    tags = gold_tags([Example(predicted, reference)], get_scheme("BIO"), LABELS, "ner")
    assert tags.tolist() == [-1, -1, 0, 1]


def test_a_batch_is_its_documents_one_after_another():
    examples = [Example(annotate(states).copy(), annotate(states)) for states in (["PER"], [], ["outside", "LOC"])]
    tags = gold_tags(examples, get_scheme("BIO"), LABELS, "ner")
    assert tags.dtype == np.int64
    assert tags.tolist() == [3, 0, 1]


def test_an_unknown_type_is_named():
    doc = annotate(["PER"])
    with pytest.raises(
        ValueError, match=r"Component 'ner': the gold data hold an entity of type 'PER'.* labels are LOC\."
    ):
        gold_tags([Example(doc.copy(), doc)], get_scheme("BIO"), ["LOC"], "ner")
