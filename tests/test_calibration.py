"""Calibration against hand-worked cases and made-up data whose temperature is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spacy_bert_ner import calibration as cal
from spacy_bert_ner.calibration import Bin, ScoreTable
from spacy_bert_ner.decoding import Lattice, posteriors, read_spans, viterbi
from spacy_bert_ner.tags import get_scheme

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NOTHING = np.zeros(0)
# What is not defined without right and wrong.
DEGENERATE = {"none": [], "all right": [True] * 20, "all wrong": [False] * 20}


def tabulate(odds: Floats) -> ScoreTable:
    """Scores of a model whose log-odds are divided by the temperature."""
    return ScoreTable.of(lambda temperature: 1 / (1 + np.exp(-odds / temperature)))


def make_up(entities: int, temperature: float | Floats, seed: int = 0) -> tuple[ScoreTable, Bools]:
    """Entities that are right as often as scores at the temperature say."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(2, 3, entities)
    return tabulate(odds), rng.random(entities) < 1 / (1 + np.exp(-odds / temperature))


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.6, 3.0])
def test_a_known_temperature_is_found(temperature: float) -> None:
    table, right = make_up(200_000, temperature)
    fitted = cal.fit_temperature(table, right)
    assert fitted == pytest.approx(temperature, rel=0.02)
    error = cal.calibration_error(table.at(fitted), right)
    assert error is not None
    assert error < 0.005


def test_a_known_temperature_is_found_through_the_lattice() -> None:
    # Texts drawn from the lattice at temperature 2: all the tokens' noise is in the gold, so that scores are too sure.
    lattice, rng, texts = Lattice(get_scheme("BIO"), ("PER",)), np.random.default_rng(0), 20_000
    # Of two tokens, every legal sequence.
    legal = np.array([[a, b] for a in (0, 1) for b in (0, 1, 2) if lattice.transitions[a, b]])
    scores = rng.normal(scale=4, size=(texts, 2, 3))
    chances = np.exp(scores[:, [0, 1], legal].sum(axis=2) / 2)
    drawn = (chances.cumsum(axis=1) / chances.sum(axis=1, keepdims=True) < rng.random((texts, 1))).sum(axis=1)
    lengths = np.full(texts, 2)
    spans = read_spans(lattice, viterbi(lattice, scores.reshape(-1, 3), lengths), lengths)
    gold = set(zip(*read_spans(lattice, legal[drawn].ravel(), lengths), strict=True))
    right = np.array([span in gold for span in zip(*spans, strict=True)])
    table = ScoreTable.of(lambda t: posteriors(lattice, scores.reshape(-1, 3), lengths, spans, t).score)
    assert cal.fit_temperature(table, right) == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("right", DEGENERATE.values(), ids=DEGENERATE)
def test_without_right_and_wrong_the_temperature_is_one(right: list[bool]) -> None:
    table, labels = tabulate(np.linspace(-2, 2, len(right))), np.arange(len(right)) % 2
    assert cal.fit_temperature(table, right) == 1.0
    assert cal.fit_worst_group(table, right, labels) == 1.0
    assert cal.fit_by_label(table, right, labels, 2).tolist() == [1.0, 1.0]
    assert cal.choose_by_label(table, right, labels, 2, labels).tolist() == [1.0, 1.0]


def test_the_temperature_stays_within_the_table() -> None:
    odds = np.array([-9.0, 9.0] * 50)
    assert cal.fit_temperature(tabulate(odds), odds > 0) == cal.TEMPERATURES[0]
    assert cal.fit_temperature(tabulate(odds), odds < 0) == cal.TEMPERATURES[-1]


def test_weights_count_entities() -> None:
    table, right = make_up(2_000, np.where(np.arange(2_000) < 1_000, 1.0, 2.5))
    weights = np.random.default_rng(1).integers(0, 4, 2_000)
    again = np.repeat(np.arange(2_000), weights)
    assert cal.fit_temperature(table, right, weights) == pytest.approx(
        cal.fit_temperature(table.take(again), right[again])
    )
    hard = np.arange(2_000) >= 1_000
    alone = cal.fit_temperature(table.take(hard), right[hard])
    assert cal.fit_temperature(table, right, hard) == pytest.approx(alone)
    assert cal.fit_temperature(table, right, np.zeros(2_000)) == 1.0


def test_the_worst_group_draws_the_temperature_to_it() -> None:
    hard = np.arange(20_000) >= 18_000
    table, right = make_up(20_000, np.where(hard, 2.5, 1.2))
    mean, easy = cal.fit_temperature(table, right), cal.fit_temperature(table.take(~hard), right[~hard])
    worst, alone = cal.fit_worst_group(table, right, hard), cal.fit_temperature(table.take(hard), right[hard])
    balanced = cal.fit_temperature(table, right, cal.balance(hard))
    assert easy < mean < balanced < alone
    assert mean < worst < alone


def test_labels_get_their_own_temperatures_where_that_pays() -> None:
    labels = np.arange(30_000) % 3
    documents = np.arange(30_000) // 20
    table, right = make_up(30_000, np.array([1.0, 1.0, 2.5])[labels])
    common = cal.fit_temperature(table, right)
    fitted = cal.fit_by_label(table, right, labels, 4)
    assert fitted == pytest.approx([1.0, 1.0, 2.5, common], rel=0.1)
    np.testing.assert_array_equal(cal.choose_by_label(table, right, labels, 4, documents), fitted)
    # A strong prior leaves the common one.
    assert cal.fit_by_label(table, right, labels, 4, prior=1e9) == pytest.approx([common] * 4, rel=1e-3)


def test_balance_gives_groups_the_same_weight() -> None:
    weights = cal.balance(["seen", "seen", "seen", "unseen"])
    assert weights == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])
    assert cal.balance([]).shape == (0,)


def test_documents_are_grouped_by_the_mean_of_their_scores() -> None:
    documents = np.array([7, 7, 3, 3, 5, 9])
    scores = np.array([0.9, 0.7, 0.2, 0.4, 0.6, 1.0])
    assert cal.by_confidence(scores, documents, 2).tolist() == [1, 1, 0, 0, 0, 1]
    assert cal.by_confidence(scores, documents, 4).tolist() == [2, 2, 0, 0, 1, 3]
    assert cal.by_confidence(NOTHING, NOTHING).shape == (0,)


def test_halves_keep_documents_whole() -> None:
    documents = np.repeat(np.arange(11), 3)
    first = cal.halve(documents)
    assert len(set(documents[first])) == 6
    assert not set(documents[first]) & set(documents[~first])
    np.testing.assert_array_equal(first, cal.halve(documents))
    assert (first != cal.halve(documents, seed=1)).any()


def test_cross_fit_judges_each_half_by_the_other() -> None:
    documents = np.repeat(np.arange(10), 5)
    table, right = make_up(50, 1.5)
    seen = []

    def fit(entities: NDArray[np.int64]) -> float:
        seen.append(set(entities.tolist()))
        return cal.fit_temperature(table.take(entities), right[entities])

    scores = cal.cross_fit(table, documents, fit)
    first = cal.halve(documents)
    assert seen == [set(np.flatnonzero(first)), set(np.flatnonzero(~first))]
    for judged in (first, ~first):
        temperature = cal.fit_temperature(table.take(~judged), right[~judged])
        np.testing.assert_array_equal(scores[judged], table.at(temperature)[judged])
    assert cal.cross_fit(tabulate(NOTHING), NOTHING, lambda _: 1.0).shape == (0,)


def test_tables_interpolate_between_temperatures() -> None:
    table = tabulate(np.linspace(-4, 4, 9))
    np.testing.assert_array_equal(table.at(table.temperatures[5]), table.scores[5])
    np.testing.assert_allclose(table.at(1.23), 1 / (1 + np.exp(-np.linspace(-4, 4, 9) / 1.23)), atol=1e-3)
    np.testing.assert_array_equal(table.at(100.0), table.scores[-1])
    np.testing.assert_array_equal(table.at(0.01), table.scores[0])
    each = np.linspace(0.6, 3, 9)
    np.testing.assert_allclose(table.at(each), [table.at(t)[i] for i, t in enumerate(each)])


def test_calibration_error_by_hand() -> None:
    scores, right = np.array([0.9, 0.1, 0.8, 0.3]), np.array([1, 0, 0, 1])
    # Two bins: 0.1 and 0.3 with half right, 0.8 and 0.9 with half right.
    assert cal.reliability(scores, right, 2) == [
        Bin(pytest.approx(0.2), pytest.approx(0.5), 2.0),
        Bin(pytest.approx(0.85), pytest.approx(0.5), 2.0),
    ]
    assert cal.calibration_error(scores, right, 2) == pytest.approx((0.3 + 0.35) / 2)
    # With fewer entities than bins, each is one.
    assert cal.calibration_error(scores, right) == pytest.approx((0.1 + 0.1 + 0.8 + 0.7) / 4)
    assert cal.brier_score(scores, right) == pytest.approx((0.01 + 0.01 + 0.64 + 0.49) / 4)
    assert cal.log_loss(scores, right) == pytest.approx(-sum(map(math.log, (0.9, 0.9, 0.2, 0.3))) / 4)


def test_bins_share_the_entity_at_their_edge() -> None:
    bins = cal.reliability(np.array([0.1, 0.4, 0.7]), np.array([0, 1, 1]), 2)
    assert [b.count for b in bins] == [1.5, 1.5]
    assert [b.score for b in bins] == pytest.approx([(0.1 + 0.2) / 1.5, (0.2 + 0.7) / 1.5])
    assert [b.right for b in bins] == pytest.approx([0.5 / 1.5, 1.0])


@settings(deadline=None, max_examples=50)
@given(
    pairs=st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9, 1.0]), st.booleans()), min_size=1), seed=st.integers(0, 9)
)
def test_measures_do_not_depend_on_order(pairs: list[tuple[float, bool]], seed: int) -> None:
    scores, right = (np.array(values) for values in zip(*pairs, strict=True))
    order = np.random.default_rng(seed).permutation(len(pairs))
    moved = cal.summarise(scores[order], right[order])
    for name, value in cal.summarise(scores, right).items():
        assert moved[name] == (value if value is None else pytest.approx(value)), name
    counts = [b.count for b in cal.reliability(scores, right)]
    assert sum(counts) == pytest.approx(len(pairs))


@pytest.mark.parametrize(
    ("scores", "right", "area"),
    [
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.75),
        ([0.5, 0.5], [0, 1], 0.5),
        ([0.2, 0.5, 0.5, 0.9], [0, 0, 1, 1], 0.875),
        ([0.9, 0.1], [0, 1], 0.0),
    ],
)
def test_area_under_roc_by_hand(scores: list[float], right: list[int], area: float) -> None:
    assert cal.area_under_roc(np.array(scores), np.array(right)) == pytest.approx(area)


def test_area_under_roc_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    scores, right = rng.integers(0, 20, 200) / 20, rng.random(200) < 0.7
    differences = scores[right][:, None] - scores[~right]
    assert cal.area_under_roc(scores, right) == pytest.approx((np.sign(differences) / 2 + 0.5).mean())


def test_risk_and_coverage_by_hand() -> None:
    scores, right = np.array([0.9, 0.5, 0.7, 0.3]), np.array([1, 0, 1, 0])
    coverage, risk = cal.risk_coverage(scores, right)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert cal.share_of_wrong(scores, right, 0.25) == pytest.approx(0.5)
    assert cal.share_of_wrong(scores, right, 0.5) == pytest.approx(1.0)
    # A tenth of four entities: that much of the least confident one, which is wrong.
    assert cal.share_of_wrong(scores, right) == pytest.approx(0.2)
    assert cal.precision_above(scores, right, 0.5) == pytest.approx(2 / 3)


def test_reliability_by_type() -> None:
    scores, right = np.array([0.9, 0.8, 0.5]), np.array([True, False, True])
    assert cal.reliability_by_type(scores, right, ["PER", "LOC", "PER"], bins=1) == {
        "LOC": [Bin(0.8, 0.0, 1.0)],
        "PER": [Bin(pytest.approx(0.7), 1.0, 2.0)],
    }


@pytest.mark.parametrize("right", DEGENERATE.values(), ids=DEGENERATE)
def test_what_is_undefined_is_none(right: list[bool]) -> None:
    found = cal.summarise(np.linspace(0, 0.5, len(right)), np.array(right, dtype=bool))
    undefined = {name for name, value in found.items() if value is None}
    expected = {"auc", "precision_above_0.9"}
    if not right:
        expected = set(found) - {"entities"}
    elif all(right):
        expected |= {"wrong_in_least_confident_tenth"}
    assert undefined == expected
    coverage, risk = cal.risk_coverage(np.zeros(len(right)), np.array(right, dtype=bool))
    assert len(coverage) == len(risk) == len(right)
    if not right:
        assert cal.reliability(NOTHING, NOTHING) == []
        assert cal.reliability_by_type(NOTHING, NOTHING, []) == {}
