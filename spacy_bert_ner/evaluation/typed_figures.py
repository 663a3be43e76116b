"""The figures of an evaluation, as metrics/test.json has them: what stands where, and of which type.

Rates are in [0, 1], and None where they are undefined: precision without predictions, recall without gold entities, F1
without either.
"""

from typing import Literal, NotRequired, TypedDict

from spacy_bert_ner.calibration.measures import ScoreMeasures

RateName = Literal["precision", "recall", "f1"]
RATES: tuple[RateName, RateName, RateName] = ("precision", "recall", "f1")


class Rates(TypedDict):
    """Precision, recall and F1."""

    precision: float | None
    recall: float | None
    f1: float | None


class EntityCounts(TypedDict):
    """How many entities there are, and how many predictions are correct."""

    gold: int
    predicted: int
    correct: int


class Intervals(TypedDict):
    """Lower and upper end of the interval of each rate; None where the rate is undefined."""

    precision: list[float] | None
    recall: list[float] | None
    f1: list[float] | None


class Figures(Rates):
    """The figures of a group of entities. interval: None for fewer than two documents."""

    counts: EntityCounts
    interval: Intervals | None


class Parity(TypedDict):
    """Whether other scorers say the same.

    scorers: By the scorer's name; None for one that is not installed.
    agree: Whether all that are there say the same.
    reasons: Why they do not, in sentences.
    """

    scorers: dict[str, Rates | None]
    agree: bool
    reasons: list[str]


class Confusion(TypedDict):
    """Gold types by predicted types. table: (types + 1, types + 1), the last of each for none."""

    types: list[str]
    table: list[list[int]]


class ErrorKindFigures(TypedDict):
    """What fixing a kind of error would gain: see error_kinds.ErrorKind."""

    verdict: str
    gold: str | None
    found: str | None
    errors: int
    gain: float


class ErrorFigures(TypedDict):
    """What goes wrong.

    verdicts: How many gold entities and predictions have each verdict.
    ignored: Predictions that touch text without gold annotation.
    kinds: Kinds of errors, then single confusions, costliest first.
    """

    verdicts: dict[str, int]
    ignored: int
    confusion: Confusion
    kinds: list[ErrorKindFigures]


class SlicingFigures(TypedDict):
    """Figures for the parts of a corpus. missing: Why there are none, where there are none."""

    key: str
    title: str
    missing: str
    slices: dict[str, Figures]


class BinFigures(TypedDict):
    """Entities of similar scores: see calibration.measures.Bin."""

    score: float
    right: float
    count: float


# By call, as one of the keys is a keyword.
Band = TypedDict("Band", {"from": float, "to": float, "predicted": int, "right": float | None})


class ScoreSummary(ScoreMeasures):
    """ece_by_chance: See calibration.measures.error_by_chance."""

    ece_by_chance: float | None


class ScoreFigures(TypedDict):
    """How reliable the pipeline's scores are.

    without: Predictions that have no score.
    bands: Share right by score.
    reliability: By bin of equal mass.
    """

    summary: ScoreSummary
    without: int
    bands: list[Band]
    reliability: list[BinFigures]


class TokenRecall(TypedDict):
    """Recall of the gold entities that the tokenizer cuts in one way."""

    gold: int
    recall: float | None


class RawTextFigures(Figures):
    """The figures on raw text.

    by_spacy_alignment: By spaCy's scorer, which maps predicted tokens to gold ones.
    tokens: Tokens that the pipeline's tokenizer makes.
    unreachable: Gold entities that begin or end within a token.
    recall_by_tokens: "as in the corpus" and "cut otherwise".
    """

    types: dict[str, Figures]
    scores: ScoreFigures | None
    by_spacy_alignment: Rates
    tokens: int
    unreachable: int
    recall_by_tokens: dict[str, TokenRecall]


PromiseVerdict = Literal["held", "below, by chance or not", "broken", "nothing to judge"]


class PromisedShare(TypedDict):
    """What is there of a promised share.

    share: None without entities.
    interval: Its lower and upper end; None for fewer than two documents, or without entities.
    entities: Of how many it is the share: predicted ones for a precision, gold ones for a recall.
    verdict: "broken" where all of the interval is below what was promised.
    """

    share: float | None
    interval: list[float] | None
    entities: int
    verdict: PromiseVerdict


class PromisedRow(TypedDict):
    """A promised share, and what is there of it. raw_text: None where it was not measured."""

    promised: float
    gold_tokens: PromisedShare
    raw_text: PromisedShare | None


class PromiseFigures(TypedDict):
    """Whether a component's promise holds: see ner.promise.Promise. rows: By label, or "all"."""

    component: str
    measure: str
    least: float
    certainty: float
    rows: dict[str, PromisedRow]


class Difference(TypedDict):
    """A rate of this pipeline less that of the other one."""

    difference: float | None
    interval: list[float] | None
    p_value: float | None


class Differences(TypedDict):
    """The differences of a group of entities."""

    precision: Difference
    recall: Difference
    f1: Difference


class PipelineName(TypedDict):
    """Which pipeline it is, by its meta.json."""

    lang: str
    name: str
    version: str


class Comparison(Rates):
    """Another pipeline on the same gold tokens: its rates, and how this one differs.

    rows: By type, "all" first; empty for fewer than two documents.
    agreement: Gold entities by who finds them.
    """

    model: PipelineName
    words_per_second: float | None
    rows: dict[str, Differences]
    agreement: dict[str, int]


class CorpusFigures(TypedDict):
    """The corpus. spaces: "known", or "restored" where raw text is put together from tokens."""

    path: str
    documents: int
    sentences: int | None
    words: int
    entities: int
    unannotated: int
    spaces: str


class Labels(TypedDict):
    """The labels of corpus and pipeline, before any are renamed."""

    corpus: list[str]
    pipeline: list[str]


class EvaluationSettings(TypedDict):
    """How the figures were made."""

    resamples: int
    seed: int
    confidence: float
    train: str | None
    rename: dict[str, str]


class Speed(TypedDict):
    """How long it took."""

    words: int
    seconds: float
    words_per_second: float | None
    raw_text_seconds: float | None
    evaluation_seconds: float


class TokenFigures(Figures):
    """The figures on gold tokens. scores: None where no prediction has one."""

    types: dict[str, Figures]
    parity: Parity
    errors: ErrorFigures
    slices: list[SlicingFigures]
    scores: ScoreFigures | None


class Metrics(TokenFigures):
    """All figures; no text of the corpus is among them. calibrated: Whether scores are, as far as the pipeline says."""

    raw_text: RawTextFigures | None
    calibrated: bool
    promises: list[PromiseFigures]
    comparison: Comparison | None
    corpus: CorpusFigures
    labels: Labels
    settings: EvaluationSettings
    speed: Speed
    model: PipelineName


class ListedEntity(TypedDict):
    """An entity in a quoted text: first character and character after the last; its tokens are the document's."""

    start: int
    end: int
    text: str
    label: str
    tokens: list[int]
    confidence: NotRequired[float | None]


class ListedError(TypedDict):
    """An error. document: From 0, those without tokens left out. text: Its sentence, or what of it is near."""

    document: int
    verdict: str
    text: str
    gold: ListedEntity | None
    predicted: ListedEntity | None
