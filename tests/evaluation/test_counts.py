"""Counts, verdicts and intervals, against independent scorers and by hand."""

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from nervaluate import Evaluator
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB2
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_bert_ner.evaluation import Resampling
from spacy_bert_ner.evaluation.bootstrap import compare, intervals
from spacy_bert_ner.evaluation.counts import count_all, count_types, rates
from spacy_bert_ner.evaluation.document_records import Judged, judge_raw_text, make_record
from spacy_bert_ner.evaluation.error_kinds import find_cases, rank_error_kinds
from spacy_bert_ner.evaluation.parity import check_parity
from spacy_bert_ner.tags import Entity, get_scheme, read_entities
from tests.evaluation.evaluating import make_doc

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


@given(CORPORA)
def test_counts_agree_with_conlleval(corpus: list[list[tuple[str, str]]]) -> None:
    expected = np.sum([conlleval(pairs) for pairs in corpus], axis=0)
    np.testing.assert_array_equal(count_all(judged(corpus)).total()[0], expected)


@given(CORPORA)
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
@settings(max_examples=50)
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
@settings(max_examples=50)
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
