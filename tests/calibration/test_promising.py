"""Promises of a precision or a recall: bounds by document, the search over thresholds, what a pipeline then keeps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

from spacy_bert_ner.arrays import Ints
from spacy_bert_ner.calibration.bounds import share_bounds
from spacy_bert_ner.calibration.judgements import COVERED, Judgements
from spacy_bert_ner.calibration.promising import (
    PRECISION_STARTS,
    PRECISION_THRESHOLDS,
    RECALL_THRESHOLDS,
    PromiseData,
    PromiseRequest,
    make_promise,
)
from spacy_bert_ner.calibration.workflow import calibrate
from spacy_bert_ner.evaluation import evaluate
from spacy_bert_ner.ner.promise import Measure
from tests.calibration.test_both_forms import folder, load

__all__ = ["folder"]  # A fixture.
LABELS = ("LOC", "PER")


def bound(right: list[int], counted: list[int], risk: float = 0.05) -> float:
    return float(share_bounds(np.array(right)[:, None], np.array(counted)[:, None], risk)[0])


def test_independent_entities_have_the_binomial_bound_of_half_as_many() -> None:
    rng = np.random.default_rng(0)
    right = (rng.random(2000) < 0.9).astype(int)
    # One entity in each document: nothing is clustered.
    found, size, share = bound(right.tolist(), [1] * 2000), 1000, right.mean()
    assert found == pytest.approx(beta.ppf(0.05, size * share, size * (1 - share) + 1), abs=2e-4)
    assert bound([1] * 2000, [1] * 2000) == pytest.approx(0.05 ** (1 / 1000), abs=1e-6)


def test_a_document_that_fails_as_a_whole_is_one_failure_and_not_ten() -> None:
    spread = bound([9] * 50, [10] * 50)
    clustered = bound([10] * 45 + [0] * 5, [10] * 50)
    assert clustered < bound([1] * 45 + [0] * 5, [1] * 50) + 0.01 < spread - 0.03
    # As many documents twice say more; a lower risk says less.
    assert clustered < bound([10] * 90 + [0] * 10, [10] * 100)
    assert bound([9] * 50, [10] * 50, 0.01) < spread


@pytest.mark.parametrize(("right", "counted"), [([], []), ([0], [0]), ([5], [5]), ([0, 0], [3, 4]), ([2, 0], [2, 0])])
def test_where_too_little_is_known_the_bound_is_nothing(right: list[int], counted: list[int]) -> None:
    assert bound(right, counted) == 0.0


def draw_counts(rng: np.random.Generator, documents: int, share: float, spread: float) -> tuple[Ints, Ints]:
    """Documents of different sizes, each with a share of its own."""
    counted = rng.geometric(1 / 20, documents)
    own = rng.beta(share * spread, (1 - share) * spread, documents)
    return rng.binomial(counted, own)[:, None], counted[:, None]


@pytest.mark.parametrize(("share", "spread"), [(0.97, 10.0), (0.97, 1000.0), (0.99, 30.0), (0.8, 5.0)])
def test_the_bound_holds_on_as_many_other_documents(share: float, spread: float) -> None:
    rng = np.random.default_rng(1)
    measured = true = 0
    for _ in range(400):
        least = share_bounds(*draw_counts(rng, 100, share, spread), 0.1)[0]
        right, counted = draw_counts(rng, 100, share, spread)
        measured += right.sum() / counted.sum() < least
        true += share < least
    # Three standard errors above what is promised.
    assert measured / 400 <= 0.1 + 3 * 0.015
    assert true / 400 <= 0.1


def judge(
    seed: int, documents: int = 200, wrong: float = 0.3, measure: Measure = "precision", label: int | None = None
) -> PromiseData:
    """Entities of whom the scores say how many are right; those of PER are right more often."""
    rng = np.random.default_rng(seed)
    document = np.repeat(np.arange(documents), rng.geometric(1 / 15, documents))
    score = 1 - wrong * rng.random(len(document)) ** 4
    labels = rng.integers(0, 2, len(document)) if label is None else np.full(len(document), label)
    right = rng.random(len(document)) < score ** np.where(labels == 1, 0.5, 1.5)
    if measure == "recall":
        score, right = np.where(right, COVERED, rng.choice([0.0, 0.004, 0.04], len(right))), np.ones_like(right)
    score, right, labels, document = (np.tile(x, 2) for x in (score, right, labels, document))
    both = Judgements(score, right, labels, document, np.repeat([False, True], len(document) // 2))
    return PromiseData(both, both)


def test_a_precision_that_can_be_promised() -> None:
    judged = judge(0)
    promise, (row,) = make_promise(PromiseRequest("precision", 0.95), judged, LABELS)
    assert (promise.measure, promise.least, promise.by_type, row.name) == ("precision", 0.95, False, "all")
    assert promise.promised == {"LOC": 0.95, "PER": 0.95}
    assert set(promise.thresholds.values()) == {row.threshold}
    assert 0 < row.threshold < 0.99
    assert row.observed > 0.95
    assert 0.3 < row.amount < 1
    assert row.observed_raw == row.observed
    # More certainty, or a higher share, costs entities.
    (surer,) = make_promise(PromiseRequest("precision", 0.95, 0.999), judged, LABELS)[1]
    (higher,) = make_promise(PromiseRequest("precision", 0.97), judged, LABELS)[1]
    assert surer.threshold >= row.threshold
    assert higher.threshold > row.threshold
    (low,) = make_promise(PromiseRequest("precision", 0.5), judged, LABELS)[1]
    assert (low.threshold, low.amount) == (0.0, 1.0)


def test_by_type_each_has_a_threshold_and_a_part_of_the_risk() -> None:
    promise, rows = make_promise(PromiseRequest("precision", 0.95, by_type=True), judge(0), LABELS)
    assert [row.name for row in rows] == list(LABELS)
    assert promise.thresholds["PER"] < promise.thresholds["LOC"]
    alone = make_promise(PromiseRequest("precision", 0.95, labels=("PER",)), judge(0), LABELS)[0]
    assert alone.thresholds.keys() == {"PER"}
    assert alone.thresholds["PER"] <= promise.thresholds["PER"]


def test_a_precision_that_cannot_be_promised_says_what_can() -> None:
    promise, (row,) = make_promise(PromiseRequest("precision", 0.9999), judge(0), LABELS)
    assert 0.9 < row.promised < 0.9999
    assert row.threshold in PRECISION_THRESHOLDS[list(PRECISION_STARTS)]
    assert set(promise.promised.values()) == {row.promised}
    # What can be promised can be promised when it is asked for.
    again = make_promise(PromiseRequest("precision", row.promised), judge(0), LABELS)[1][0]
    assert again.promised == row.promised
    assert again.threshold <= row.threshold


def test_a_type_of_which_nothing_is_known_is_left_as_it_is() -> None:
    cases: list[tuple[Measure, float]] = [("precision", 0.0), ("recall", 1.0)]
    for measure, changes_nothing in cases:
        request = PromiseRequest(measure, 0.9, by_type=True)
        promise, rows = make_promise(request, judge(0, label=1, measure=measure), LABELS)
        assert (promise.promised["LOC"], promise.thresholds["LOC"], rows[0].entities) == (0.0, changes_nothing, 0)
        assert promise.promised["PER"] == 0.9


def test_a_recall_adds_no_more_than_it_takes() -> None:
    judged = judge(0, wrong=0.1, measure="recall")
    thresholds = [
        make_promise(PromiseRequest("recall", least), judged, LABELS)[1][0].threshold for least in (0.9, 0.965, 0.98)
    ]
    assert thresholds[0] == 1.0
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[-1] in RECALL_THRESHOLDS[:-1]
    (row,) = make_promise(PromiseRequest("recall", 0.9999), judged, LABELS)[1]
    assert (row.threshold, row.promised < 0.9999) == (RECALL_THRESHOLDS[0], True)


def test_both_forms_must_show_it() -> None:
    good = judge(0).counted
    spoilt = np.random.default_rng(1).random(len(good.right)) < 0.02
    mixed, bad = (replace(good, right=good.right & ~(spoilt & form)) for form in (good.raw, True))
    request = PromiseRequest("precision", 0.95)
    rows = [make_promise(request, PromiseData(x, x), LABELS)[1][0] for x in (good, mixed, bad)]
    assert rows[0].threshold < rows[1].threshold <= rows[2].threshold
    assert rows[1].observed > rows[1].observed_raw > 0.95


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"least": 1.0}, "precision 1: expected a share above 0 and below 1"),
        ({"least": 98.0}, "precision 98: expected a share above 0 and below 1"),
        ({"certainty": 0.3}, "certainty 0.3: expected a share above 0.5"),
        ({"labels": ()}, "No label is named"),
    ],
)
def test_what_cannot_be_asked_for(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PromiseRequest("precision", **{"least": 0.9, **values})
    with pytest.raises(ValueError, match="Label 'MISC' is none of the component's: LOC, PER"):
        PromiseRequest("precision", 0.9, labels=("MISC",)).choose_labels(LABELS)


@pytest.mark.parametrize("by_type", [False, True])
@pytest.mark.parametrize(("measure", "least"), [("precision", 0.6), ("recall", 0.9)])
def test_a_pipeline_keeps_on_its_dev_set_what_was_promised(
    folder: Path, measure: Measure, least: float, by_type: bool
) -> None:
    nlp, dev, train = load(folder)
    measures = calibrate(nlp, "bert_ner", dev, train, PromiseRequest(measure, least, 0.6, by_type))
    component: Any = nlp.get_pipe("bert_ner")
    assert {**component.promise.to_state(), "rows": measures["promise"]["rows"]} == measures["promise"]
    (found,) = evaluate(nlp, folder / "dev.spacy", show_progress=False).metrics["promises"]
    assert (found["component"], found["measure"], found["least"]) == ("bert_ner", measure, least)
    assert set(found["rows"]) == ({"LOC", "PER"} if by_type else {"all"})
    for row in measures["promise"]["rows"]:
        there = found["rows"][row["name"]]
        assert there["promised"] == row["promised"]
        for form, observed in (("gold_tokens", row["observed"]), ("raw_text", row["observed_raw"])):
            # A recall by type counts what spans of the type itself cover, at least.
            assert there[form]["share"] >= observed - 1e-9
            assert by_type or there[form]["share"] == pytest.approx(observed)
            assert there[form]["verdict"] in ("held", "nothing to judge")
    # Calibrating without one ends it.
    nlp_again, dev, train = load(folder)
    nlp_again.get_pipe("bert_ner").cfg["promise"] = component.promise.to_state()  # type: ignore[attr-defined]
    assert calibrate(nlp_again, "bert_ner", dev, train)["promise"] is None
    assert nlp_again.get_pipe("bert_ner").promise is None  # type: ignore[attr-defined]


def test_a_recall_and_a_threshold_contradict_each_other(folder: Path) -> None:
    nlp, dev, train = load(folder)
    component: Any = nlp.get_pipe("bert_ner")
    component.settings = type(component.settings)(threshold=0.5)
    with pytest.raises(ValueError, match=r"threshold = 0\.5 would drop what a recall needs"):
        calibrate(nlp, "bert_ner", dev, train, PromiseRequest("recall", 0.9))
    assert component.cfg["temperature"] == 1.0
