"""Places in a text that a tokenizer has changed."""

import re
from itertools import pairwise

import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_bert_ner.evaluation.document_records import judge_raw_text
from spacy_bert_ner.inspection import inspect_annotation
from spacy_bert_ner.rawtext.changed_text import locate_in
from spacy_bert_ner.rawtext.retokenizing import both_forms
from spacy_bert_ner.rawtext.scorer import score_both_forms

SPACE = st.text(" \n\t\u00a0", max_size=2)


@given(st.lists(st.tuples(st.text("aä.😀", min_size=1, max_size=3), SPACE, SPACE), max_size=6), SPACE, SPACE)
def test_words_are_where_they_are(words: list[tuple[str, str, str]], first: str, second: str) -> None:
    text, changed, here, there = first, second, [], []
    for word, after, other in words:
        here.append((len(text), len(text) + len(word)))
        there.append((len(changed), len(changed) + len(word)))
        text, changed = text + word + after, changed + word + other
    locate = locate_in(text, changed)
    assert [locate(*place) for place in there] == here
    if text != changed:
        # White space at the ends of a place is none of it.
        for (start, _), (_, end) in pairwise(there):
            found = slice(*locate(max(start - 1, 0), end))
            assert re.sub(r"\s", "", text[found]) in re.sub(r"\s", "", changed[max(start - 1, 0) : end])
            assert text[found] == text[found].strip()


def test_other_texts_keep_their_places() -> None:
    assert locate_in("Ab c", "ab c")(1, 3) == (1, 3)
    assert locate_in("a b", "a b")(1, 2) == (1, 2)
    assert locate_in("  a ", "a  ")(1, 3) == (4, 4)


def split_at_spaces(nlp: spacy.Language) -> None:
    """Of whitespace nothing stays."""
    nlp.tokenizer = lambda text: Doc(nlp.vocab, words=text.split())


def test_a_tokenizer_that_loses_white_space() -> None:
    nlp = spacy.blank("en")
    gold = nlp("Anna  saw\n Bonn and  Paris .")
    gold.set_ents([Span(gold, t.i, t.i + 1, "X") for t in gold if t.text in ("Anna", "Bonn", "Paris")])
    split_at_spaces(nlp)
    forms = list(both_forms(nlp, Example(Doc(nlp.vocab, [t.text for t in gold]), gold)))
    for form in forms:
        doc = form.predicted
        doc.set_ents([Span(doc, t.i, t.i + 1, "X") for t in doc if t.text in ("Anna", "Bonn", "saw")])
    assert forms[1].predicted.text == "Anna saw Bonn and Paris . "
    scores = score_both_forms(forms)
    assert scores["raw_ents_f"] == scores["ents_f"] == 2 / 3
    raw = forms[1].predicted
    record = judge_raw_text(gold, raw, [(t.idx, t.idx + len(t)) for t in raw], None, {})
    assert (len(set(record.gold) & set(record.found)), record.unreachable, record.cut_otherwise) == (2, 0, frozenset())
    _, findings = inspect_annotation({"train": forms, "dev": forms}, ["X"])
    assert {finding.kind for finding in findings if finding.kind in ("misaligned", "text_changed")} == {"text_changed"}
