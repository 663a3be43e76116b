"""The scorer of both forms, against spaCy's own and against the evaluation."""

from pathlib import Path

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.language import Language
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Corpus, Example
from spacy.training.loop import create_evaluation_callback

from spacy_bert_ner.evaluation import evaluate
from spacy_bert_ner.rawtext.retokenizing import both_forms
from spacy_bert_ner.rawtext.scorer import score_both_forms
from spacy_bert_ner.tags import Entity
from tests.evaluation.evaluating import make_doc, write_corpus

NLP = spacy.blank("en")
SENTENCES = [
    ("Anna Smith-Jones saw Bonn .", [Entity(0, 2, "PER"), Entity(3, 4, "LOC")]),
    ("Franco-German talks in Paris , said Anna .", [Entity(0, 1, "MISC"), Entity(3, 4, "LOC"), Entity(6, 7, "PER")]),
    ("Nobody came .", []),
]
CAPITALISED = "capitalised"


@Language.component(CAPITALISED)
def find_capitals(doc: Doc) -> Doc:
    """Take each capitalised token for a place: right sometimes, and otherwise on other tokens."""
    doc.set_ents([Span(doc, t.i, t.i + 1, "LOC") for t in doc if t.is_title], default="outside")
    return doc


def forms_of(words: str, gold: list[Entity]) -> list[Example]:
    doc = make_doc(NLP, words, gold)
    return list(both_forms(NLP, Example(Doc(NLP.vocab, words=[t.text for t in doc]), doc)))


def predicted(example: Example) -> Example:
    return Example(find_capitals(example.predicted), example.reference)


def test_both_figures_are_those_of_the_evaluation(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe(CAPITALISED)
    path = write_corpus(tmp_path / "dev.spacy", [make_doc(nlp, *sentence) for sentence in SENTENCES])
    found = evaluate(nlp, path, show_progress=False).metrics
    examples = [form for example in Corpus(path)(nlp) for form in both_forms(nlp, example)]
    scores = score_both_forms(map(predicted, examples))
    assert [scores[f"ents_{x}"] for x in "prf"] == pytest.approx([found[x] for x in ("precision", "recall", "f1")])
    raw = found["raw_text"]
    assert [scores[f"raw_ents_{x}"] for x in "prf"] == pytest.approx([raw[x] for x in ("precision", "recall", "f1")])
    assert raw["f1"] != found["f1"]
    assert set(scores["ents_per_type"]) == {"LOC", "MISC", "PER"}


def test_without_second_forms_it_is_spacy_s_scorer() -> None:
    examples = [predicted(forms_of(*sentence)[0]) for sentence in SENTENCES]
    assert score_both_forms(examples) == get_ner_prf(examples)
    assert score_both_forms([]) == get_ner_prf([])


def test_predictions_on_unannotated_text_count_for_nothing() -> None:
    doc = Doc(NLP.vocab, words=["Bonn", "and", "Paris"])
    doc.set_ents([Span(doc, 0, 1, "LOC")], missing=[doc[2:3]], default="outside")
    forms = [predicted(form) for form in both_forms(NLP, Example(Doc(NLP.vocab, words=[t.text for t in doc]), doc))]
    assert score_both_forms(forms)["raw_ents_p"] == pytest.approx(1.0)
    blank = Doc(NLP.vocab, words=["Bonn"])
    forms = [predicted(form) for form in both_forms(NLP, Example(Doc(NLP.vocab, words=["Bonn"]), blank))]
    assert set(score_both_forms(forms).values()) == {None}


def test_early_stopping_looks_at_both() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe(CAPITALISED)
    component = spacy.blank("en").create_pipe("ner", config={"scorer": {"@scorers": "spacy-bert-ner.scorer.v1"}})
    examples = [form for sentence in SENTENCES for form in forms_of(*sentence)]
    scores = component.score(list(map(predicted, examples)))  # type: ignore[attr-defined]
    nlp.evaluate = lambda _: scores  # type: ignore[method-assign, assignment]
    weights = {"ents_f": 0.5, "raw_ents_f": 0.5, "ents_per_type": None}
    score, _ = create_evaluation_callback(nlp, lambda _: examples, weights)()
    assert score == pytest.approx((scores["ents_f"] + scores["raw_ents_f"]) / 2)


@given(st.lists(st.sampled_from(["Anna", "Smith-Jones", "of", "'s", "Bonn", ",", "U.N."]), min_size=1, max_size=8))
def test_gold_predictions_are_all_right(words: list[str]) -> None:
    doc = Doc(NLP.vocab, words=words)
    doc.set_ents([Span(doc, i, i + 1, "LOC") for i, word in enumerate(words) if word == "Bonn"], default="outside")
    _, raw = both_forms(NLP, Example(Doc(NLP.vocab, words=words), doc))
    raw.predicted.ents = [
        span for ent in raw.reference.ents if (span := raw.predicted.char_span(ent.start_char, ent.end_char, "LOC"))
    ]
    scores = score_both_forms([raw])
    assert scores["raw_ents_p"] == (pytest.approx(1.0) if raw.predicted.ents else scores["raw_ents_p"])
    if "Bonn" not in words:
        assert scores["raw_ents_f"] is None
