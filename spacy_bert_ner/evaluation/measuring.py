"""The evaluation of a pipeline: predictions once, then every measure from the same records."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from spacy_bert_ner.ner.annotations import MISSING
from spacy_bert_ner.ner.component import BertNER

from .bootstrap import Paired, Resampling, compare, intervals
from .counts import (
    Counts,
    count_all,
    count_entities,
    count_types,
    figures_of,
    name_rates,
    pair_of,
    plain,
    rates,
    types_of,
)
from .document_records import RawRecord, TokenRecord
from .error_kinds import Case, describe_errors, find_cases
from .excerpts import Confused, Excerpt, confident_errors, confused_strings
from .kept_promises import describe_promises
from .listing import list_errors
from .parity import check_parity, score_by_spacy
from .predicting import NO_RENAMING, Predicted, predict_on_gold_tokens, predict_on_raw_text, read_gold
from .scoring import describe_scores
from .slices import Strings, count_slices, slicings, strings_of
from .typed_figures import (
    RATES,
    Comparison,
    CorpusFigures,
    Difference,
    Differences,
    EvaluationSettings,
    Figures,
    Labels,
    ListedError,
    Metrics,
    PipelineName,
    RawTextFigures,
    SlicingFigures,
    Speed,
    TokenFigures,
    TokenRecall,
)


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation finds.

    metrics (Metrics): All measures, as metrics/test.json has them; no text of the corpus is among them.
    errors (list[Excerpt]): The most confident errors, in their sentence.
    strings (list[Confused]): The strings that go wrong most often.
    all_errors (list[ListedError]): Every error, see `listing.list_errors`.
    """

    metrics: Metrics
    errors: list[Excerpt] = field(default_factory=list)
    strings: list[Confused] = field(default_factory=list)
    all_errors: list[ListedError] = field(default_factory=list)


def evaluate(
    nlp: Language,
    corpus: Path,
    *,
    other: Language | None = None,
    train: Path | None = None,
    spans_key: str | None = None,
    raw_text: bool = True,
    rename: Mapping[str, str] = NO_RENAMING,
    how: Resampling = Resampling(),  # noqa: B008
    show_progress: bool = True,
) -> Evaluation:
    """Measure a pipeline's entities on a corpus: on gold tokens without gold sentence starts, and on raw text.

    The corpus is predicted twice, once on gold tokens and once on raw text, where `raw_text` is on.

    nlp (Language): Any pipeline that sets doc.ents.
    corpus (Path): Gold documents, `.spacy`.
    other (Language | None): A second pipeline, to compare with on gold tokens.
    train (Path | None): The training data, `.spacy`, to tell entity strings that were seen in it from those unseen.
    spans_key (str | None): The key of the doc.spans group whose attrs["scores"] are the entities' scores; None for any
        group that has scores.
    raw_text (bool): Whether to predict on raw text as well.
    rename (Mapping[str, str]): Labels to other labels, in the corpora and in predictions.
    how (Resampling): How to resample for intervals.
    show_progress (bool): Whether to show progress bars where standard error is a terminal.
    RETURNS (Evaluation): The measures.
    """
    start = time.perf_counter()
    gold, labels = read_gold(corpus, nlp.vocab, rename)
    strings = strings_of(read_gold(train, nlp.vocab, rename)[0]) if train else None
    prediction = predict_on_gold_tokens(nlp, gold, spans_key=spans_key, rename=rename, progress=show_progress)
    on_text = (
        predict_on_raw_text(nlp, gold, spans_key=spans_key, rename=rename, progress=show_progress) if raw_text else None
    )
    second = predict_on_gold_tokens(other, gold, rename=rename, progress=show_progress) if other else None
    cases = find_cases(prediction.records)
    errors, confused = confident_errors(prediction.records, cases), confused_strings(prediction.records, cases)
    metrics = Metrics(
        **_measure(prediction, cases, strings, how),
        raw_text=_describe_raw_text(on_text, how) if on_text else None,
        calibrated=is_calibrated(nlp),
        promises=describe_promises(nlp, prediction.records, on_text.records if on_text else None, rename, how),
        comparison=_compare(prediction, second, other.meta, how) if other and second else None,
        corpus=_describe_corpus(corpus, gold),
        labels=Labels(corpus=sorted(labels), pipeline=sorted(prediction.labels | pipeline_labels(nlp))),
        settings=EvaluationSettings(
            resamples=how.resamples,
            seed=how.seed,
            confidence=how.confidence,
            train=train.as_posix() if train else None,
            rename=dict(rename),
        ),
        speed=_describe_speed(prediction, on_text, time.perf_counter() - start),
        model=name_pipeline(nlp.meta),
    )
    return Evaluation(metrics, errors, confused, list_errors(prediction.records, cases))


def pipeline_labels(nlp: Language) -> set[str]:
    """RETURNS (set[str]): The labels of all components that set doc.ents, as far as they say."""
    setters = [name for name in nlp.pipe_names if "doc.ents" in nlp.get_pipe_meta(name).assigns]
    return {label for name in setters for label in nlp.pipe_labels.get(name, ())}


def is_calibrated(nlp: Language) -> bool:
    """RETURNS (bool): Whether a `bert_ner` of the pipeline has been calibrated."""
    settings = [pipe.cfg for _, pipe in nlp.pipeline if isinstance(pipe, BertNER)]
    # Calibration gives every label its offset, be it 0.
    return any(cfg["temperature"] != 1.0 or cfg["offsets"] for cfg in settings)


def name_pipeline(meta: Mapping[str, Any]) -> PipelineName:
    """RETURNS (PipelineName): What a pipeline's meta.json calls it."""
    return PipelineName(lang=meta["lang"], name=meta["name"], version=meta["version"])


def _measure(
    prediction: Predicted[TokenRecord], cases: Sequence[Case], strings: Strings | None, how: Resampling
) -> TokenFigures:
    """Take all measures of the predictions on gold tokens."""
    records = prediction.records
    total = count_all(records)
    return TokenFigures(
        **_figures(total, how)["all"],
        types=_figures(count_types(records), how),
        parity=check_parity(records, prediction.examples, total.total()[0]),
        errors=describe_errors(records, cases, types_of(records), total.total()[0]),
        slices=_describe_slices(records, strings, how),
        scores=describe_scores(records),
    )


def _figures(counts: Counts, how: Resampling) -> dict[str, Figures]:
    ends = intervals(counts.array, how)
    total = counts.total()
    return {name: figures_of(total[i], None if ends is None else ends[:, i]) for i, name in enumerate(counts.names)}


def _describe_raw_text(prediction: Predicted[RawRecord], how: Resampling) -> RawTextFigures:
    records = prediction.records
    return RawTextFigures(
        **_figures(count_all(records), how)["all"],
        types=_figures(count_types(records), how),
        scores=describe_scores(records),
        # spaCy maps predicted tokens to gold ones, and so forgives some boundaries within a gold token.
        by_spacy_alignment=score_by_spacy(prediction.examples),
        tokens=prediction.words,
        unreachable=sum(record.unreachable for record in records),
        recall_by_tokens={
            "as in the corpus": _recall(records, cut_otherwise=False),
            "cut otherwise": _recall(records, cut_otherwise=True),
        },
    )


def _recall(records: Sequence[RawRecord], *, cut_otherwise: bool) -> TokenRecall:
    right = [set(record.gold).intersection(record.found) for record in records]
    gold = [
        entity in found
        for record, found in zip(records, right, strict=True)
        for entity in record.gold
        if (entity in record.cut_otherwise) == cut_otherwise
    ]
    return TokenRecall(gold=len(gold), recall=sum(gold) / len(gold) if gold else None)


def _describe_slices(records: Sequence[TokenRecord], strings: Strings | None, how: Resampling) -> list[SlicingFigures]:
    return [
        SlicingFigures(
            key=way.key, title=way.title, missing=way.missing, slices=_figures(count_slices(records, way), how)
        )
        for way in slicings(records, strings)
    ]


def _describe_corpus(path: Path, gold: Sequence[Doc]) -> CorpusFigures:
    sentences = sum(sum(1 for _ in doc.sents) for doc in gold if doc.has_annotation("SENT_START"))
    known = [not doc.has_unknown_spaces for doc in gold]
    return CorpusFigures(
        path=path.as_posix(),
        documents=len(gold),
        sentences=sentences or None,
        words=sum(map(len, gold)),
        entities=sum(len(doc.ents) for doc in gold),
        unannotated=sum(int((doc.to_array("ENT_IOB") == MISSING).sum()) for doc in gold if len(doc)),
        # Whether raw text is the corpus' own, or put together from its tokens.
        spaces="known" if known and all(known) else "restored",
    )


def _describe_speed(prediction: Predicted, on_text: Predicted | None, whole: float) -> Speed:
    seconds = prediction.seconds
    return Speed(
        words=prediction.words,
        seconds=round(seconds, 3),
        words_per_second=round(prediction.words / seconds, 1) if prediction.words else None,
        raw_text_seconds=round(on_text.seconds, 3) if on_text else None,
        evaluation_seconds=round(whole, 3),
    )


def _compare(
    prediction: Predicted[TokenRecord], second: Predicted[TokenRecord], meta: Mapping[str, Any], how: Resampling
) -> Comparison:
    """Compare two pipelines' predictions, overall and by type. meta: The second one's."""
    types = types_of([*prediction.records, *second.records])
    names = ["all", *types]
    first_counts, second_counts = (
        np.concatenate(
            [count_all(records).array, count_entities(records, types, lambda _, ent: ent.label).array], axis=1
        )
        for records in (prediction.records, second.records)
    )
    paired = compare(first_counts, second_counts, how)
    return Comparison(
        model=name_pipeline(meta),
        words_per_second=round(second.words / second.seconds, 1) if second.words else None,
        **name_rates(rates(second_counts[:, 0].sum(axis=0))),
        rows={name: _differences(paired, i) for i, name in enumerate(names)} if paired else {},
        agreement=_agreement(prediction.records, second.records),
    )


def _differences(paired: Paired, i: int) -> Differences:
    """RETURNS (Differences): Those of the i-th group."""
    precision, recall, f1 = (
        Difference(
            difference=plain(paired.difference[i])[j],
            interval=pair_of(paired.interval[:, i, j]),
            p_value=plain(paired.p_value[i])[j],
        )
        for j in range(len(RATES))
    )
    return Differences(precision=precision, recall=recall, f1=f1)


def _agreement(first: Sequence[TokenRecord], second: Sequence[TokenRecord]) -> dict[str, int]:
    """Count gold entities by who finds them."""
    found = {"both": 0, "only this": 0, "only the other": 0, "neither": 0}
    names = {(True, True): "both", (True, False): "only this", (False, True): "only the other"}
    for a, b in zip(first, second, strict=True):
        in_a, in_b = set(a.found), set(b.found)
        for entity in a.gold:
            found[names.get((entity in in_a, entity in in_b), "neither")] += 1
    return found
