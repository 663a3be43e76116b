"""Evaluation against independent oracles, on cases worked by hand, and on what goes missing."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from nervaluate import Evaluator
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB2
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_bert_ner.evaluation import HEADER, Resampling, evaluate, table
from spacy_bert_ner.evaluation.bootstrap import compare, intervals
from spacy_bert_ner.evaluation.counts import count_all, count_types, rates
from spacy_bert_ner.evaluation.document_records import Judged, TokenRecord, judge_raw_text, make_record
from spacy_bert_ner.evaluation.error_kinds import find_cases, rank_error_kinds
from spacy_bert_ner.evaluation.excerpts import confident_errors, confused_strings
from spacy_bert_ner.evaluation.parity import check_parity
from spacy_bert_ner.evaluation.slices import count_slices, slicings
from spacy_bert_ner.rawtext.spaces import space_flags
from spacy_bert_ner.tags import Entity, get_scheme, read_entities
from tests.evaluation.evaluating import EVERY_VERDICT, Case, make_case, make_doc, make_pipeline, write_corpus

TAGS = st.sampled_from(["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
PAIRS = st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=30)
CORPORA = st.lists(PAIRS, min_size=1, max_size=4)


def conlleval(pairs: list[tuple[str, str]]) -> tuple[int, int, int]:
    """Count as the conlleval script does, token by token: gold, predicted and right chunks.

    Source: conlleval (Tjong Kim Sang, 2000-2004), its rules for IOB tags, followed line by line.
    """
    gold_chunks = found_chunks = right = 0
    in_correct = False
    last_gold = last_found = ("O", "")
    for gold_tag, found_tag in [*pairs, ("O", "O")]:
        gold = (gold_tag.partition("-")[0], gold_tag.partition("-")[2])
        found = (found_tag.partition("-")[0], found_tag.partition("-")[2])
        gold_ends, found_ends = _ends(last_gold, gold), _ends(last_found, found)
        gold_starts, found_starts = _starts(last_gold, gold), _starts(last_found, found)
        if in_correct:
            if gold_ends and found_ends and last_gold[1] == last_found[1]:
                in_correct = False
                right += 1
            elif gold_ends != found_ends or gold[1] != found[1]:
                in_correct = False
        if gold_starts and found_starts and gold[1] == found[1]:
            in_correct = True
        gold_chunks += gold_starts
        found_chunks += found_starts
        last_gold, last_found = gold, found
    return gold_chunks, found_chunks, right


def _ends(last: tuple[str, str], now: tuple[str, str]) -> bool:
    return last[0] != "O" and (now[0] in "BO" or last[1] != now[1])


def _starts(last: tuple[str, str], now: tuple[str, str]) -> bool:
    return now[0] != "O" and (now[0] == "B" or last[0] == "O" or last[1] != now[1])


def judged(corpus: list[list[tuple[str, str]]]) -> list[Judged]:
    """Read the entities of a corpus of gold and predicted tags."""
    return [Judged(read_entities(g for g, _ in pairs), read_entities(f for _, f in pairs)) for pairs in corpus]


def record(words: str, gold: list[Entity], found: list[Entity], scores: Sequence[float] = ()) -> TokenRecord:
    """Make a record with sentences that end at full stops."""
    tokens = words.split(" ")
    starts = [i for i in range(len(tokens)) if i == 0 or tokens[i - 1] == "."]
    given = dict(zip(found, scores, strict=False))
    return TokenRecord(gold, found, words=tokens, spaces=space_flags(tokens), sentences=starts, scores=given)


@given(CORPORA)
def test_counts_agree_with_conlleval(corpus: list[list[tuple[str, str]]]) -> None:
    expected = np.sum([conlleval(pairs) for pairs in corpus], axis=0)
    np.testing.assert_array_equal(count_all(judged(corpus)).total()[0], expected)


@given(CORPORA)
@settings(deadline=None)
def test_rates_agree_with_seqeval_overall_and_by_type(corpus: list[list[tuple[str, str]]]) -> None:
    records = judged(corpus)
    counts = count_types(records)
    if not counts.names:
        return
    encode = get_scheme("BIO").encode
    gold = [encode(r.gold, len(pairs)) for r, pairs in zip(records, corpus, strict=True)]
    found = [encode(r.found, len(pairs)) for r, pairs in zip(records, corpus, strict=True)]
    expected = precision_recall_fscore_support(gold, found, scheme=IOB2, average=None, zero_division=0)
    np.testing.assert_allclose(np.nan_to_num(rates(counts.total())), np.transpose(expected[:3]))


@given(CORPORA)
@settings(deadline=None, max_examples=50)
def test_every_scorer_agrees(corpus: list[list[tuple[str, str]]]) -> None:
    vocab = spacy.blank("en").vocab
    examples = []
    for r, pairs in zip(judged(corpus), corpus, strict=True):
        docs = []
        for entities in (r.found, r.gold):
            doc = Doc(vocab, words=[f"w{i}" for i in range(len(pairs))])
            doc.set_ents([Span(doc, *ent) for ent in entities], default="outside")
            docs.append(doc)
        examples.append(Example(*docs))
    records = [make_record(eg.reference, eg.predicted, None, {}) for eg in examples]
    parity = check_parity(records, examples, count_all(records).total()[0])
    assert parity["agree"]
    assert parity["reasons"] == []
    assert all(parity["scorers"].values())


@given(CORPORA)
@settings(deadline=None, max_examples=50)
def test_every_entity_gets_one_verdict_and_nervaluate_agrees(corpus: list[list[tuple[str, str]]]) -> None:
    records = judged(corpus)
    cases = find_cases(records)
    for i, r in enumerate(records):
        assert sorted(c.gold for c in cases if c.gold and c.document == i) == r.gold
        assert sorted(c.found for c in cases if c.found and c.document == i) == r.found
    as_dicts = [
        [[{"label": e.label, "start": e.start, "end": e.end - 1} for e in ents] for ents in docs]
        for docs in ([r.gold for r in records], [r.found for r in records])
    ]
    theirs = Evaluator(*as_dicts, tags=["PER", "LOC"], loader="dict").evaluate()["overall"]
    ours = {verdict: sum(c.verdict == verdict for c in cases) for verdict in ("right", "type")}
    assert ours["right"] == theirs["strict"].correct
    assert ours["right"] + ours["type"] == theirs["exact"].correct


@pytest.mark.parametrize(
    ("gold", "found", "verdicts"),
    [
        pytest.param([(0, 2, "A")], [(0, 2, "A")], ["right"], id="right"),
        pytest.param([(0, 2, "A")], [(0, 2, "B")], ["type"], id="type"),
        pytest.param([(0, 2, "A")], [(1, 2, "A")], ["boundary"], id="boundary"),
        pytest.param([(0, 2, "A")], [(1, 3, "B")], ["both"], id="both"),
        pytest.param([(0, 2, "A")], [], ["missed"], id="missed"),
        pytest.param([], [(0, 2, "A")], ["spurious"], id="spurious"),
        pytest.param([(0, 2, "A")], [(2, 3, "A")], ["missed", "spurious"], id="side by side"),
        pytest.param([(0, 3, "A")], [(0, 1, "A"), (1, 3, "A")], ["spurious", "boundary"], id="the longer overlap"),
        pytest.param([(0, 3, "A")], [(0, 2, "B"), (2, 3, "A")], ["spurious", "boundary"], id="type before overlap"),
        pytest.param([(0, 2, "A"), (2, 4, "A")], [(0, 4, "A")], ["boundary", "missed"], id="two for one"),
    ],
)
def test_verdicts(gold: list, found: list, verdicts: list[str]) -> None:
    cases = find_cases([Judged([Entity(*e) for e in gold], [Entity(*e) for e in found])])
    assert [case.verdict for case in cases] == verdicts


def test_mending_an_error_is_worth_what_it_says() -> None:
    # Right 1 of 2 gold and 2 predicted: F1 1/2. Fixed: 2 of 2 and 2, F1 1.
    records = [Judged([Entity(0, 1, "A"), Entity(2, 4, "A")], [Entity(0, 1, "A"), Entity(2, 3, "A")])]
    kinds = {(x.verdict, x.gold): x for x in rank_error_kinds(find_cases(records), count_all(records).total()[0])}
    assert kinds["boundary", None].gain == kinds["boundary", "A"].gain == pytest.approx(0.5)
    assert kinds["missed", None].gain == 0.0


def test_interval_worked_by_hand() -> None:
    # Two documents, one all right, one all wrong: of the samples, a quarter has F1 0, a half 1/2, a quarter 1.
    counts = np.array([[[1, 1, 1]], [[1, 1, 0]]])
    middle = intervals(counts, Resampling(resamples=4000, confidence=0.4))
    whole = intervals(counts, Resampling(resamples=4000, confidence=0.95))
    assert middle is not None
    assert whole is not None
    np.testing.assert_allclose(middle[:, 0, 2], [0.5, 0.5])
    np.testing.assert_allclose(whole[:, 0, 2], [0.0, 1.0])


def test_interval_leaves_out_samples_in_which_the_figure_is_undefined() -> None:
    # The second document has no entity: samples of it alone have no F1, all others have 1/2.
    ends = intervals(np.array([[[2, 2, 1]], [[0, 0, 0]]]), Resampling(resamples=500))
    assert ends is not None
    np.testing.assert_allclose(ends[:, 0], 0.5)


def test_intervals_do_not_depend_on_how_many_samples_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.random.default_rng(1).integers(0, 5, size=(20, 3, 3))
    expected = intervals(counts, Resampling(resamples=300))
    monkeypatch.setattr("spacy_bert_ner.evaluation.bootstrap.BUDGET", 100)
    np.testing.assert_allclose(intervals(counts, Resampling(resamples=300)), expected)


def test_comparison_of_equals_says_so() -> None:
    counts = np.random.default_rng(0).integers(1, 9, size=(10, 2, 3))
    paired = compare(counts, counts, Resampling(resamples=200))
    assert paired is not None
    np.testing.assert_array_equal(paired.difference, 0)
    np.testing.assert_array_equal(paired.interval, 0)
    np.testing.assert_array_equal(paired.p_value, 1)


def test_comparison_worked_by_hand() -> None:
    # In each of 3 documents the first is right and the second wrong. F1: 1 and 0. Only 2 of the 8 ways to swap
    # documents give a difference as large: none and all.
    first, second = np.full((3, 1, 3), 1), np.array([[[1, 1, 0]]] * 3)
    paired = compare(first, second, Resampling(resamples=20000))
    assert paired is not None
    assert paired.difference[0, 2] == 1
    np.testing.assert_array_equal(paired.interval[:, 0, 2], [1, 1])
    assert paired.p_value[0, 2] == pytest.approx(2 / 8, abs=0.01)


def test_raw_text_is_judged_by_characters() -> None:
    nlp = spacy.blank("en")
    gold = make_doc(nlp, "Anna Smith-Jones lives in Bonn .", [Entity(0, 2, "PER"), Entity(4, 5, "LOC")])
    predicted = nlp("Anna Smith-Jones lives in Bonn.")
    tokens = [(token.idx, token.idx + len(token)) for token in predicted]
    # spaCy's English tokenizer cuts at hyphens: Anna | Smith | - | Jones | lives | in | Bonn | .
    predicted.ents = [Span(predicted, 0, 2, "PER"), Span(predicted, 6, 7, "LOC")]
    found = judge_raw_text(gold, predicted, tokens, None, {})
    assert found.gold == [Entity(0, 16, "PER"), Entity(26, 30, "LOC")]
    assert found.found == [Entity(0, 10, "PER"), Entity(26, 30, "LOC")]
    assert found.cut_otherwise == {Entity(0, 16, "PER")}
    assert found.unreachable == 0


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
    assert [len(row) for row in table(metrics)] == [len(HEADER)] * 6


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


def test_a_pipeline_that_changes_the_text_is_refused(tmp_path: Path) -> None:
    nlp, gold = make_case(tmp_path, EVERY_VERDICT[:1])
    nlp.add_pipe("shout")
    with pytest.raises(ValueError, match="has changed the text of a document that begins 'Peter Blackburn"):
        evaluate(nlp, gold)


@Language.component("shout")
def shout(doc: Doc) -> Doc:
    return Doc(doc.vocab, words=[token.text.upper() for token in doc])


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
