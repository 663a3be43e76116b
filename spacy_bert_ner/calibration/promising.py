"""Thresholds by which a precision or a recall can be promised, and what can be promised where it cannot."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spacy_bert_ner.arrays import Array, Bools, Floats, Ints
from spacy_bert_ner.ner.promise import Measure, Promise

from .bounds import share_bounds
from .entities import Decoded
from .judgements import Judgements, judge_gold, judge_predicted

# The thresholds that are tried, fixed beforehand, in the order of the test, and where in that order it begins. For a
# recall from the lowest threshold, which covers most; the last one adds no span.
RECALL_THRESHOLDS: Floats = np.round(np.geomspace(0.001, 1.0, 31), 4)
RECALL_STARTS = (0, 10, 20)  # 0.001, 0.01, 0.1
# For a precision from the highest down, where too few entities are left to show anything; the last one keeps all.
PRECISION_THRESHOLDS: Floats = np.round(1 - np.geomspace(0.001, 1.0, 46), 4)
PRECISION_STARTS = (15, 22, 30)  # 0.99, 0.9707, 0.9
# What may be given up of the highest share that can be promised, for a threshold that changes less.
_CLOSE = 0.005


@dataclass(frozen=True)
class PromiseRequest:
    """What is to be promised.

    measure (str): "precision" or "recall": see ner.promise.Promise.
    least (float): The share, above 0 and below 1.
    certainty (float): The probability with which all that is promised holds, above 0.5 and below 1.
    by_type (bool): Whether for each label by itself.
    labels (tuple[str, ...] | None): The labels; None for all of the component's.
    RAISES: ValueError for a number out of range, and for no label.
    """

    measure: Measure
    least: float
    certainty: float = 0.95
    by_type: bool = False
    labels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.least < 1:
            raise ValueError(f"{self.measure} {self.least:g}: expected a share above 0 and below 1, such as 0.98")
        if not 0.5 < self.certainty < 1:
            raise ValueError(f"certainty {self.certainty:g}: expected a share above 0.5 and below 1, such as 0.95")
        if self.labels is not None and not self.labels:
            raise ValueError("No label is named: expected at least one, or None for all of the component's")

    @classmethod
    def again(cls, promise: Promise) -> "PromiseRequest":
        """RETURNS (PromiseRequest): What was asked for when a promise was made."""
        own = promise.measure, promise.least, promise.certainty, promise.by_type
        return cls(*own, tuple(promise.thresholds))

    def choose_labels(self, known: Sequence[str]) -> tuple[str, ...]:
        """RETURNS (tuple[str, ...]): The labels, each once. RAISES: ValueError where one is not among those known."""
        chosen = tuple(dict.fromkeys(known if self.labels is None else self.labels))
        if unknown := [label for label in chosen if label not in known]:
            raise ValueError(f"Label {unknown[0]!r} is none of the component's: {', '.join(known)}")
        return chosen


@dataclass(frozen=True)
class PromiseData:
    """The dev set as a promise looks at it.

    counted (Judgements): What the share is of: entities that are set, for a precision; gold ones, for a recall.
    amount (Judgements): What is set at each threshold: entities, for a precision; words, for a recall.
    """

    counted: Judgements
    amount: Judgements

    def of(self, labels: Sequence[int]) -> "PromiseData":
        """RETURNS (PromiseData): What there is of some labels."""
        return PromiseData(*(x.take(np.isin(x.label, labels)) for x in (self.counted, self.amount)))


@dataclass(frozen=True)
class PromiseRow:
    """What is promised of a group of labels, and what lies behind it.

    name (str): The label, or "all".
    labels (tuple[str, ...]): The labels of the group.
    promised (float): The share.
    threshold (float): The confidence by which it is kept.
    amount (float): How much is set, to how much was without the promise: entities for a precision, words for a recall.
    observed (float): The share on the dev set itself. Like all counts here, on annotated tokens.
    observed_raw (float): The same on raw text.
    entities, documents (int): How many entities count, predicted ones without the promise for a precision, gold ones
        for a recall; and in how many documents.
    """

    name: str
    labels: tuple[str, ...]
    promised: float
    threshold: float
    amount: float
    observed: float
    observed_raw: float
    entities: int
    documents: int


def judge_for(
    request: PromiseRequest,
    decoded: Iterable[Decoded],
    labels: Sequence[str],
    temperature: float,
    offsets: Mapping[str, float],
    threshold: float,
) -> PromiseData:
    """Judge what a promise is made from.

    request (PromiseRequest): What is to be promised.
    decoded (Iterable[Decoded]): The dev set in both forms: see entities.decode_examples.
    labels (Sequence[str]): The component's labels.
    temperature, offsets, threshold: Its calibration and its setting.
    RETURNS (PromiseData): What counts.
    RAISES: ValueError where a recall is asked for and the component drops what is under a threshold.
    """
    chosen = request.choose_labels(labels)
    if request.measure == "precision":
        found = judge_predicted(decoded, temperature, offsets, threshold)
        return PromiseData(found, found)
    if threshold > 0:
        raise ValueError(f"threshold = {threshold:g} would drop what a recall needs: set it to 0 in the config")
    return PromiseData(
        *judge_gold(
            decoded,
            temperature,
            offsets,
            labels=chosen,
            own_label=request.by_type,
            lowest=float(RECALL_THRESHOLDS[0]),
        )
    )


def make_promise(
    request: PromiseRequest, judged: PromiseData, labels: Sequence[str]
) -> tuple[Promise, list[PromiseRow]]:
    """Find the thresholds for a promise.

    All that is promised holds together with the certainty asked for: the risk is divided among the labels, and among
    the thresholds at which a test begins. From there thresholds are tested one after another, down to the first at
    which the promise cannot be shown, each at the risk that those before it did not use up, so that nothing else has to
    be paid for the search. It must be shown for both forms of the documents, annotated tokens and raw text.

    request (PromiseRequest): What is to be promised.
    judged (PromiseData): From `judge_for`, of the same request.
    labels (Sequence[str]): The component's labels.
    RETURNS (tuple[Promise, list[PromiseRow]]): The promise; and its rows: one for each label, or one for all.
    Source: Angelopoulos et al. 2021 (Learn then Test), with the fallback procedure of Wiens 2003 in place of their
        fixed sequence; the bound: see `bounds`.
    """
    chosen = request.choose_labels(labels)
    groups = [(label, (label,)) for label in chosen] if request.by_type else [("all", chosen)]
    risk = (1 - request.certainty) / len(groups)
    rows = []
    for name, own in groups:
        index = [labels.index(label) for label in own]
        rows.append(_promise_one(request, judged.of(index), risk, name, own))
    by_label = {label: row for row in rows for label in row.labels}
    promise = Promise(
        request.measure,
        request.least,
        request.certainty,
        request.by_type,
        {label: row.promised for label, row in by_label.items()},
        {label: row.threshold for label, row in by_label.items()},
    )
    return promise, rows


def _promise_one(
    request: PromiseRequest, judged: PromiseData, risk: float, name: str, labels: tuple[str, ...]
) -> PromiseRow:
    """Make a promise for a group of labels, of whose entities alone there are judgements."""
    is_recall = request.measure == "recall"
    thresholds = RECALL_THRESHOLDS if is_recall else PRECISION_THRESHOLDS
    starts = RECALL_STARTS if is_recall else PRECISION_STARTS
    forms = [judged.counted.take(judged.counted.raw == raw) for raw in (False, True)]
    tables = [_count(form, thresholds, is_recall) for form in forms]
    levels = risk * np.arange(1, len(starts) + 1) / len(starts)
    bounds = np.stack([np.min([share_bounds(*table, level) for table in tables], axis=0) for level in levels])
    place, promised = _walk(bounds, request.least, starts)
    if promised == 0:
        # Nothing is known, so nothing is changed.
        place = len(thresholds) - 1
    amount = judged.amount.score[~judged.amount.raw]
    observed, observed_raw = (_share(right[:, place].sum(), counted[:, place].sum()) for right, counted in tables)
    entities = tables[0][1][:, -1]
    return PromiseRow(
        name=name,
        labels=labels,
        promised=promised,
        threshold=float(thresholds[place]),
        amount=_share((amount >= thresholds[place]).sum(), (amount >= thresholds[-1]).sum()),
        observed=observed,
        observed_raw=observed_raw,
        entities=int(entities.sum()),
        documents=int((entities > 0).sum()),
    )


def _count(judged: Judgements, thresholds: Floats, is_recall: bool) -> tuple[Ints, Ints]:
    """Count entities by document and threshold. RETURNS: right ones, and all that count. (documents, thresholds)"""
    above = judged.score[:, None] >= thresholds
    counted = np.ones_like(above) if is_recall else above
    documents = int(judged.document.max(initial=-1)) + 1
    cells = judged.document[:, None] * len(thresholds) + np.arange(len(thresholds))

    def by_document(chosen: Bools) -> Ints:
        sums = np.bincount(cells[chosen], minlength=documents * len(thresholds))
        return sums.reshape(documents, len(thresholds))

    return by_document(above & judged.right[:, None]), by_document(counted)


def _walk(bounds: Floats, least: float, starts: Sequence[int]) -> tuple[int, float]:
    """Go through the thresholds for which a share is shown, in their order.

    Each start brings its part of the risk; it is handed on from threshold to threshold while the share is shown, those
    of several starts together, and lost where it is not.

    bounds (Floats): Lower bounds of the share, at the risk of one start, of two, and so on. (starts, thresholds)
    RETURNS (tuple[int, float]): The furthest threshold, and the share; where it is shown at none, the furthest start
        whose bound at its own risk is close to the highest, and that bound.
    """
    held, reached = 0, -1
    for place in range(bounds.shape[1]):
        held += place in starts
        if held and bounds[held - 1, place] >= least:
            reached = place
        else:
            held = 0
    if reached >= 0:
        return reached, least
    own = bounds[0, list(starts)]
    best = starts[int(np.flatnonzero(own >= own.max() - _CLOSE)[-1])]
    # Rounded down, as it is printed.
    return best, float(np.floor(bounds[0, best] * 1e4) / 1e4)


def _share(part: Array, whole: Array) -> float:
    return float(part / whole) if whole else 0.0
