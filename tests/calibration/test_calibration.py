"""Calibration against hand-worked cases and made-up data whose temperature is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spacy_bert_ner import calibration as cal
from spacy_bert_ner.calibration import Bin, Calibration, ScoreTable
from spacy_bert_ner.calibration.comparison import describe_fit
from spacy_bert_ner.calibration.entities import JudgedEntities
from spacy_bert_ner.decoding import Lattice, span_posteriors, tags_to_spans, viterbi
from spacy_bert_ner.tags import get_scheme

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NOTHING = np.zeros(0)
# What is not defined without right and wrong.
DEGENERATE = {"none": [], "all right": [True] * 20, "all wrong": [False] * 20}


def tabulate(odds: Floats) -> ScoreTable:
    """Scores of a model whose log-odds are divided by the temperature."""
    return ScoreTable.of(lambda temperature: 1 / (1 + np.exp(-odds / temperature)))


def make_up(
    entities: int, temperature: float | Floats, seed: int = 0, offset: float | Floats = 0.0
) -> tuple[ScoreTable, Bools]:
    """Entities that are right as often as scores at the temperature, their log-odds offset, say."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(2, 3, entities)
    return tabulate(odds), rng.random(entities) < 1 / (1 + np.exp(-odds / temperature - offset))


def fit(table: ScoreTable, right: Bools, weights: Floats | None = None) -> Calibration:
    """Fit with a single label."""
    return cal.fit_calibration(table, right, np.zeros(len(right), dtype=int), 1, weights)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.6, 3.0])
def test_a_known_temperature_is_found(temperature: float) -> None:
    table, right = make_up(50_000, temperature)
    fitted = fit(table, right)
    assert fitted.temperature == pytest.approx(temperature, rel=0.05)
    assert fitted.offsets == pytest.approx([0.0], abs=0.1)
    error = cal.calibration_error(fitted.apply(table, np.zeros(len(right), dtype=int)), right)
    assert error is not None
    assert error < 0.01


def test_a_known_temperature_is_found_through_the_lattice() -> None:
    # Texts drawn from the lattice at temperature 2: all the tokens' noise is in the gold, so that scores are too sure.
    lattice, rng, texts = Lattice(get_scheme("BIO"), ("PER",)), np.random.default_rng(0), 20_000
    # Of two tokens, every legal sequence.
    legal = np.array([[a, b] for a in (0, 1) for b in (0, 1, 2) if lattice.transitions[a, b]])
    scores = rng.normal(scale=4, size=(texts, 2, 3))
    chances = np.exp(scores[:, [0, 1], legal].sum(axis=2) / 2)
    drawn = (chances.cumsum(axis=1) / chances.sum(axis=1, keepdims=True) < rng.random((texts, 1))).sum(axis=1)
    lengths = np.full(texts, 2)
    spans = tags_to_spans(lattice, viterbi(lattice, scores.reshape(-1, 3), lengths), lengths)
    gold = set(zip(*tags_to_spans(lattice, legal[drawn].ravel(), lengths), strict=True))
    right = np.array([span in gold for span in zip(*spans, strict=True)])
    table = ScoreTable.of(lambda t: span_posteriors(lattice, scores.reshape(-1, 3), lengths, spans, t).posterior)
    fitted = fit(table, right)
    assert fitted.temperature == pytest.approx(2, rel=0.05)
    assert fitted.offsets == pytest.approx([0.0], abs=0.1)


def test_known_offsets_are_found_beside_the_temperature() -> None:
    labels = np.arange(60_000) % 3
    table, right = make_up(60_000, 1.5, offset=np.array([-0.8, -0.8, 0.4])[labels])
    fitted = cal.fit_calibration(table, right, labels, 4)
    assert fitted.temperature == pytest.approx(1.5, rel=0.05)
    # A label without entities gets the offset common to all.
    common = float(fitted.offsets[3])
    assert fitted.offsets == pytest.approx([-0.8, -0.8, 0.4, common], abs=0.1)
    assert -0.8 < common < 0.4
    drawn = cal.fit_calibration(table, right, labels, 4, prior=1e9)
    assert drawn.offsets == pytest.approx([drawn.offsets[3]] * 4, abs=1e-3)


@pytest.mark.parametrize("prior", [0.0, 20.0])
def test_the_fit_is_where_the_loss_is_lowest(prior: float) -> None:
    from scipy.optimize import minimize

    table, right = make_up(400, 1.7, offset=-0.5)
    odds = np.log(table.at(1.0) / (1 - table.at(1.0)))
    labels, counts = np.arange(400) % 2, np.random.default_rng(3).random(400)
    fitted = cal.fit_calibration(table, right, labels, 2, counts, prior)

    def loss(x: Floats, centre: float | None = None) -> float:
        scores = odds / fitted.temperature + x[labels if centre is not None else np.zeros(400, dtype=int)]
        lost = float((counts * (np.logaddexp(0, scores) - right * scores)).sum())
        return lost if centre is None else lost + prior / 2 * float(((x - centre) ** 2).sum())

    common = float(minimize(loss, [0.0], tol=1e-9).x[0])
    wanted = minimize(loss, [0.0, 0.0], args=(common,), tol=1e-9).x
    assert fitted.offsets == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("right", DEGENERATE.values(), ids=DEGENERATE)
def test_without_right_and_wrong_nothing_is_fitted(right: list[bool]) -> None:
    table, labels = tabulate(np.linspace(-2, 2, len(right))), np.arange(len(right)) % 2
    fitted = cal.fit_calibration(table, right, labels, 2)
    assert fitted.temperature == 1.0
    assert fitted.offsets.tolist() == [0.0, 0.0]


def test_the_temperature_stays_within_the_table() -> None:
    odds = np.array([-9.0, 9.0] * 50)
    assert fit(tabulate(odds), odds > 0).temperature == cal.TEMPERATURES[0]
    assert fit(tabulate(odds), odds < 0).temperature == cal.TEMPERATURES[-1]


def test_weights_count_entities() -> None:
    table, right = make_up(2_000, np.where(np.arange(2_000) < 1_000, 1.0, 2.5))
    weights = np.random.default_rng(1).integers(0, 4, 2_000)
    again = np.repeat(np.arange(2_000), weights)
    weighted, repeated = fit(table, right, weights), fit(table.take(again), right[again])
    assert weighted.temperature == pytest.approx(repeated.temperature)
    assert weighted.offsets == pytest.approx(repeated.offsets)
    hard = np.arange(2_000) >= 1_000
    alone = fit(table.take(hard), right[hard])
    assert fit(table, right, hard).temperature == pytest.approx(alone.temperature)
    assert fit(table, right, np.zeros(2_000)).temperature == 1.0


@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=20),
    temperature=st.floats(0.5, 4),
    offset=st.floats(-10, 10),
)
def test_a_calibration_keeps_scores_in_order_and_within_0_and_1(
    scores: list[float], temperature: float, offset: float
) -> None:
    table = ScoreTable.of(lambda _: np.sort(scores))
    found = Calibration(temperature, np.array([offset])).apply(table, np.zeros(len(scores), dtype=int))
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= -1e-12).all()


def test_balance_gives_groups_the_same_weight() -> None:
    weights = cal.balance(["seen", "seen", "seen", "unseen"])
    assert weights == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])
    assert cal.balance([]).shape == (0,)


def test_halves_keep_documents_whole() -> None:
    documents = np.repeat(np.arange(11), 3)
    first = cal.halve(documents)
    assert len(set(documents[first])) == 6
    assert not set(documents[first]) & set(documents[~first])
    np.testing.assert_array_equal(first, cal.halve(documents))
    assert (first != cal.halve(documents, seed=1)).any()


def test_cross_fit_judges_each_half_by_the_other() -> None:
    documents, labels = np.repeat(np.arange(10), 5), np.arange(50) % 2
    table, right = make_up(50, 1.5)
    seen = []

    def fit_some(entities: NDArray[np.int64]) -> Calibration:
        seen.append(set(entities.tolist()))
        return cal.fit_calibration(table.take(entities), right[entities], labels[entities], 2)

    scores = cal.cross_fit(table, labels, documents, fit_some)
    first = cal.halve(documents)
    assert seen == [set(np.flatnonzero(first)), set(np.flatnonzero(~first))]
    for judged in (first, ~first):
        other = fit_some(np.flatnonzero(~judged))
        np.testing.assert_array_equal(scores[judged], other.apply(table, labels)[judged])
    nothing = NOTHING.astype(int)
    assert cal.cross_fit(tabulate(NOTHING), nothing, nothing, lambda _: Calibration(1.0, np.zeros(1))).shape == (0,)


def test_tables_interpolate_between_temperatures() -> None:
    table = tabulate(np.linspace(-4, 4, 9))
    np.testing.assert_array_equal(table.at(table.temperatures[5]), table.scores[5])
    np.testing.assert_allclose(table.at(1.23), 1 / (1 + np.exp(-np.linspace(-4, 4, 9) / 1.23)), atol=1e-3)
    np.testing.assert_array_equal(table.at(100.0), table.scores[-1])
    np.testing.assert_array_equal(table.at(0.01), table.scores[0])


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


@settings(max_examples=50)
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


def make_scores(entities: int, seed: int = 0) -> Floats:
    """Scores as a recogniser of names has them: most are sure."""
    return 1 / (1 + np.exp(-np.random.default_rng(seed).normal(4, 2.5, entities)))


@pytest.mark.parametrize("entities", [20, 1000, 5000])
def test_the_error_of_perfect_calibration_is_chance(entities: int) -> None:
    scores, rng = make_scores(entities), np.random.default_rng(1)
    most = cal.error_by_chance(scores)
    assert most is not None
    errors = [cal.calibration_error(scores, rng.random(entities) < scores) or 0.0 for _ in range(400)]
    # What the report went by: at 1,000 entities it called nearly all of them too high or too low.
    if entities == 1000:
        assert np.mean(np.array(errors) > 0.02) > 0.2
    assert np.mean(np.array(errors) <= most) >= 0.95
    # And it is no more than that takes.
    assert most < 1.3 * np.quantile(errors, 0.98)
    # One that is off shows.
    too_sure = 1 / (1 + (1 - scores) / scores * math.exp(1.5))
    if entities > 20:
        error = cal.calibration_error(too_sure, rng.random(entities) < scores)
        assert error is not None
        assert error > (cal.error_by_chance(too_sure) or 0.0)


def test_chance_knows_equal_scores_and_is_drawn_the_same_each_time() -> None:
    scores, rng = np.repeat([0.5, 0.9], 50), np.random.default_rng(0)
    errors = [cal.calibration_error(scores, rng.random(100) < scores) or 0.0 for _ in range(2000)]
    for share in (0.5, 0.95):
        assert cal.error_by_chance(scores, share) == pytest.approx(np.quantile(errors, share), rel=0.1)
    assert cal.error_by_chance(scores) == cal.error_by_chance(scores[::-1])
    assert cal.error_by_chance(np.ones(30)) == 0
    assert cal.error_by_chance(NOTHING) is None


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


def test_the_report_shows_both_sides_of_a_fit() -> None:
    table, right = make_up(4000, 2.0)
    label, document = np.arange(4000) % 2, np.arange(4000) // 20
    entities = JudgedEntities(table, right, label, document, ["x"] * 4000, np.zeros(4000, dtype=bool))

    def fit_on(chosen: NDArray[np.int64]) -> Calibration:
        return cal.fit_calibration(table.take(chosen), right[chosen], label[chosen], 2)

    report = describe_fit(entities, fit_on, fit_on(np.arange(4000)), ("LOC", "PER"))
    assert report["raw_text"]["before"]["ece"] is None
    assert report["temperature"] == pytest.approx(2.0, rel=0.2)
    assert report["after"]["ece"] < 0.02 < report["before"]["ece"]
    for when in ("before", "after"):
        by_type = report["reliability"][when]
        assert {name: round(sum(one["count"] for one in bins)) for name, bins in by_type.items()} == {
            "LOC": 2000,
            "PER": 2000,
        }
    first, second = (report["reliability"][when]["PER"][0] for when in ("before", "after"))
    assert abs(second["score"] - second["right"]) < abs(first["score"] - first["right"])
