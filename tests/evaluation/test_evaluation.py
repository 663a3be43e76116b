"""Evaluation of pipelines: slices, errors, both forms of a text, and figures that are undefined."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_bert_ner.evaluation import TABLE_HEADER, evaluate, table
from spacy_bert_ner.evaluation.document_records import TokenRecord
from spacy_bert_ner.evaluation.error_kinds import find_cases
from spacy_bert_ner.evaluation.excerpts import confident_errors, confused_strings
from spacy_bert_ner.evaluation.slices import count_slices, slicings
from spacy_bert_ner.rawtext.spaces import space_flags
from spacy_bert_ner.tags import Entity
from tests.evaluation.evaluating import EVERY_VERDICT, Case, make_case, make_doc, make_pipeline, write_corpus


def record(words: str, gold: list[Entity], found: list[Entity], scores: Sequence[float] = ()) -> TokenRecord:
    """Make a record with sentences that end at full stops."""
    tokens = words.split(" ")
    starts = [i for i in range(len(tokens)) if i == 0 or tokens[i - 1] == "."]
    given = dict(zip(found, scores, strict=False))
    return TokenRecord(gold, found, words=tokens, spaces=space_flags(tokens), sentences=starts, scores=given)


def test_slices() -> None:
    words = "BONN TALKS . Peter Blackburn left Bonn on Friday ."
    gold = [Entity(0, 1, "LOC"), Entity(3, 5, "PER"), Entity(6, 7, "LOC")]
    r = record(words, gold, gold[:2])
    ways = {way.key: way for way in slicings([r], {"Bonn": {"ORG"}, "Peter Blackburn": {"PER"}})}
    gold_of = {
        key: {name: int(n) for name, n in zip(way.names, count_slices([r], way).total()[:, 0], strict=True) if n}
        for key, way in ways.items()
    }
    assert gold_of["seen"] == {"unseen": 1, "seen with this type": 1, "seen with another type only": 1}
    assert gold_of["length"] == {"1 token": 2, "2 tokens": 1}
    assert gold_of["mention"] == {"first mention": 2, "later mention": 1}
    assert gold_of["capitals"] == {"all-caps sentence": 1, "other sentence": 2}
    assert gold_of["sentence_length"] == {"1-5 tokens": 1, "6-15 tokens": 2}


def test_slices_say_what_they_lack() -> None:
    ways = {way.key: way.missing for way in slicings([TokenRecord([], [], words=["a"])], None)}
    assert "--train" in ways["seen"]
    assert "sentence" in ways["capitals"]
    assert ways["length"] == ""


def test_errors_to_read() -> None:
    records = [record(words, gold, found, scores) for words, gold, found, scores in EVERY_VERDICT]
    cases = find_cases(records)
    worst = confident_errors(records, cases)
    assert [excerpt.verdict for excerpt in worst] == ["type", "boundary", "both", "spurious"]
    assert worst[0].score == 0.95
    assert worst[0].text == "Peter Blackburn saw Brussels, the European Commission and Bonn on Friday."
    assert [worst[0].text[e.start : e.end] for e in worst[0].gold] == [
        "Peter Blackburn",
        "Brussels",
        "the European Commission",
        "Bonn",
    ]
    assert worst[2].text == "GERMAN NEWS FROM BONN."
    assert confused_strings(records, cases) == []
    twice = confused_strings([*records, *records], find_cases([*records, *records]))
    assert next((s.text, s.errors, s.right, s.kinds) for s in twice) == ("Bonn", 2, 2, [("LOC", "", 2)])


def test_long_sentences_are_cut_around_the_error() -> None:
    r = TokenRecord([Entity(500, 501, "A")], [], words=["x"] * 1000, spaces=[True] * 1000, sentences=[0])
    (excerpt,) = [s.excerpt for s in confused_strings([r, r], find_cases([r, r]))]
    assert excerpt.text == " ".join(["…", *["x"] * 51, "…"])
    assert excerpt.gold == [Entity(52, 53, "A")]


def test_evaluate(tmp_path: Path) -> None:
    nlp, gold = make_case(tmp_path, EVERY_VERDICT)
    metrics = evaluate(nlp, gold, train=gold).metrics
    assert metrics["counts"] == {"gold": 8, "predicted": 7, "correct": 3}
    assert metrics["precision"] == pytest.approx(3 / 7)
    assert metrics["recall"] == pytest.approx(3 / 8)
    assert metrics["f1"] == pytest.approx(6 / 15)
    assert metrics["interval"]["f1"] == pytest.approx([2 / 8, 4 / 7])
    assert metrics["errors"]["verdicts"] == {
        "right": 3, "boundary": 1, "type": 1, "both": 1, "missed": 2, "spurious": 1
    }  # fmt: skip
    assert metrics["types"]["PER"]["f1"] == 1
    assert metrics["parity"]["agree"]
    assert all(metrics["parity"]["scorers"].values())
    assert metrics["scores"]["summary"]["entities"] == 7
    # These tokens are the tokenizer's, too.
    assert metrics["raw_text"]["scores"] == metrics["scores"]
    assert metrics["corpus"]["documents"] == 2
    assert metrics["speed"]["words"] == 24
    assert metrics["raw_text"]["f1"] == metrics["f1"]
    json.dumps(metrics, allow_nan=False)
    assert [len(row) for row in table(metrics)] == [len(TABLE_HEADER)] * 6


def test_evaluate_is_deterministic(tmp_path: Path) -> None:
    nlp, gold = make_case(tmp_path, EVERY_VERDICT)
    first, second = (evaluate(nlp, gold).metrics for _ in range(2))
    assert {**first, "speed": None} == {**second, "speed": None}


def test_compare_two_pipelines(tmp_path: Path) -> None:
    nlp, gold = make_case(tmp_path, EVERY_VERDICT)
    perfect = make_pipeline(
        [(words, gold_ents, gold_ents, []) for words, gold_ents, _, _ in EVERY_VERDICT], spans_key=None
    )
    comparison = evaluate(nlp, gold, other=perfect, raw_text=False).metrics["comparison"]
    assert comparison["f1"] == 1
    assert comparison["rows"]["all"]["f1"]["difference"] == pytest.approx(6 / 15 - 1)
    assert comparison["rows"]["all"]["f1"]["interval"][1] < 0
    assert comparison["rows"]["PER"]["f1"]["p_value"] == 1
    assert comparison["agreement"] == {"both": 3, "only this": 0, "only the other": 5, "neither": 0}


def test_scores_are_looked_up_under_their_key(tmp_path: Path) -> None:
    nlp, gold = make_case(tmp_path, EVERY_VERDICT, spans_key="elsewhere")
    assert evaluate(nlp, gold).metrics["scores"]["without"] == 0
    assert evaluate(nlp, gold, spans_key="elsewhere").metrics["scores"]["without"] == 0
    without = evaluate(nlp, gold, spans_key="bert_ner").metrics
    assert without["scores"] is without["raw_text"]["scores"] is None


def test_score_bands(tmp_path: Path) -> None:
    nlp, gold = make_case(tmp_path, EVERY_VERDICT)
    bands = evaluate(nlp, gold).metrics["scores"]["bands"]
    assert {(b["from"], b["to"]): (b["predicted"], b["right"]) for b in bands if b["predicted"]} == {
        (0.0, 0.5): (1, 0.0),
        (0.5, 0.7): (1, 0.0),
        (0.8, 0.9): (1, 0.0),
        (0.9, 0.95): (1, 1.0),
        (0.95, 0.99): (2, 0.5),
        (0.99, 1.0): (1, 1.0),
    }


def test_predictions_on_missing_annotation_are_left_out_and_parity_says_why(tmp_path: Path) -> None:
    words = "Peter saw Bonn and Paris ."
    nlp = make_pipeline([(words, [], [Entity(0, 1, "PER"), Entity(2, 3, "LOC")], [0.9, 0.8])])
    doc = Doc(nlp.vocab, words=words.split(" "))
    doc.set_ents([Span(doc, 0, 1, "PER")], missing=[doc[2:3]], default="outside")
    metrics = evaluate(nlp, write_corpus(tmp_path / "gold.spacy", [doc])).metrics
    assert metrics["counts"] == {"gold": 1, "predicted": 1, "correct": 1}
    assert metrics["raw_text"]["counts"] == metrics["counts"]
    assert metrics["errors"]["ignored"] == 1
    assert not metrics["parity"]["agree"]
    assert metrics["parity"]["scorers"]["spaCy's scorer"]["f1"] == pytest.approx(1)
    assert metrics["parity"]["scorers"]["seqeval, strict"]["f1"] == pytest.approx(2 / 3)
    assert "Missing annotation: 1" in metrics["parity"]["reasons"][0]


def test_known_spaces_are_kept(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    doc = nlp("A  double blank , odd spacing ,and Bonn")
    doc.set_ents([Span(doc, len(doc) - 1, len(doc), "LOC")], default="outside")
    ruler: Any = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "LOC", "pattern": "Bonn"}])
    metrics = evaluate(nlp, write_corpus(tmp_path / "gold.spacy", [doc])).metrics
    assert metrics["corpus"]["spaces"] == "known"
    assert metrics["raw_text"]["f1"] == metrics["f1"] == 1
    assert metrics["raw_text"]["tokens"] == len(doc)


def test_a_pipeline_that_merges_its_entities_gets_the_same_figures(tmp_path: Path) -> None:
    nlp, gold = make_case(tmp_path, EVERY_VERDICT)
    plain = evaluate(nlp, gold, train=gold).metrics
    nlp.add_pipe("merge_entities")
    merged = evaluate(nlp, gold, train=gold, other=nlp).metrics
    assert merged.pop("comparison")["agreement"] == {"both": 3, "only this": 0, "only the other": 0, "neither": 5}
    # Of a SpanGroup like spancat's, the scores are gone whose tokens are beyond the end.
    for part, other in ((merged, plain), (merged["raw_text"], plain["raw_text"])):
        assert part.pop("scores")["without"] <= other.pop("scores")["summary"]["entities"]
    for key in set(merged) - {"speed"}:
        assert merged[key] == plain[key], key


def test_a_pipeline_that_splits_gold_tokens_is_judged_by_characters(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("token_splitter", config={"min_length": 6, "split_length": 4})
    ruler: Any = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PER", "pattern": [{"ORTH": "Anna"}]}, {"label": "LOC", "pattern": "Bonn"}])
    docs = [
        # Cut to Anna | maria: found is less than a gold token.
        make_doc(nlp, "Annamaria left Bonn .", [Entity(0, 1, "PER"), Entity(2, 3, "LOC")]),
        make_doc(nlp, "Annamaria and Anna .", [Entity(2, 3, "PER")]),
    ]
    metrics = evaluate(nlp, write_corpus(tmp_path / "gold.spacy", docs), raw_text=False).metrics
    assert metrics["counts"] == {"gold": 3, "predicted": 4, "correct": 2}
    assert metrics["errors"]["verdicts"]["boundary"] == metrics["errors"]["verdicts"]["spurious"] == 1
    assert "Tokens: 2 predictions begin or end within a gold token" in metrics["parity"]["reasons"][0]


@Language.component("shout")
def shout(doc: Doc) -> Doc:
    return Doc(doc.vocab, words=[token.text.upper() for token in doc])


def test_a_pipeline_that_changes_the_text_is_refused(tmp_path: Path) -> None:
    nlp, gold = make_case(tmp_path, EVERY_VERDICT[:1])
    nlp.add_pipe("shout")
    with pytest.raises(ValueError, match="has changed the text of a document that begins 'Peter Blackburn"):
        evaluate(nlp, gold)


EMPTY: list[Case] = []
SINGLE = EVERY_VERDICT[:1]
NOTHING: list[Case] = [("Nothing here .", [], [], [])] * 2
ABSENT: list[Case] = [("Bonn is here .", [], [Entity(0, 1, "LOC")], [0.5])] * 2
SILENT: list[Case] = [("Bonn is here .", [Entity(0, 1, "LOC")], [], [])] * 2


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        pytest.param(EMPTY, (None, None, None), id="empty corpus"),
        pytest.param(NOTHING, (None, None, None), id="no entities at all"),
        pytest.param(ABSENT, (0.0, None, 0.0), id="type absent from gold"),
        pytest.param(SILENT, (None, 0.0, 0.0), id="nothing predicted"),
        pytest.param(SINGLE, (0.25, 0.25, 0.25), id="single document"),
    ],
)
def test_undefined_figures_are_null(tmp_path: Path, cases: list[Case], expected: tuple) -> None:
    nlp, gold = make_case(tmp_path, cases)
    metrics = evaluate(nlp, gold, other=nlp, train=gold).metrics
    assert (metrics["precision"], metrics["recall"], metrics["f1"]) == expected
    assert metrics["parity"]["agree"]
    json.dumps(metrics, allow_nan=False)
    table(metrics)
