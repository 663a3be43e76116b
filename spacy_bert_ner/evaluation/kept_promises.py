"""Whether what calibration has promised of a pipeline holds on a corpus."""

from collections.abc import Mapping, Sequence

import numpy as np
from spacy.language import Language

from spacy_bert_ner.arrays import Ints
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.promise import Promise

from .bootstrap import Resampling, intervals
from .counts import FOUND, GOLD, RIGHT, count_entities, pair_of
from .document_records import Judged
from .typed_figures import RATES, PromisedRow, PromisedShare, PromiseFigures, PromiseVerdict


def describe_promises(
    nlp: Language,
    records: Sequence[Judged],
    raw: Sequence[Judged] | None,
    rename: Mapping[str, str],
    how: Resampling,
) -> list[PromiseFigures]:
    """Compare what was promised with what is there.

    nlp (Language): The pipeline.
    records (Sequence[Judged]): The documents on gold tokens.
    raw (Sequence[Judged] | None): The same on raw text.
    rename (Mapping[str, str]): The pipeline's labels to those of the records.
    how (Resampling): How to resample for intervals.
    RETURNS (list[PromiseFigures]): One for each `bert_ner` that keeps a promise.
    """
    pipes = ((name, pipe) for name, pipe in nlp.pipeline if isinstance(pipe, BertNER) and pipe.settings.keep_promise)
    return [_describe(name, pipe.promise, records, raw, rename, how) for name, pipe in pipes if pipe.promise]


def _describe(
    component: str,
    promise: Promise,
    records: Sequence[Judged],
    raw: Sequence[Judged] | None,
    rename: Mapping[str, str],
    how: Resampling,
) -> PromiseFigures:
    promised = {rename.get(label, label): share for label, share in promise.promised.items()}
    if not promise.by_type:
        promised = {"all": next(iter(promised.values()))} if promised else {}
    labels = [rename.get(label, label) for label in promise.promised]
    group = {label: label if promise.by_type else "all" for label in labels}
    on_tokens = _shares(promise, promised, group, records, how)
    on_text = _shares(promise, promised, group, raw, how) if raw is not None else None
    return PromiseFigures(
        component=component,
        measure=promise.measure,
        least=promise.least,
        certainty=promise.certainty,
        rows={
            name: PromisedRow(promised=share, gold_tokens=on_tokens[name], raw_text=on_text[name] if on_text else None)
            for name, share in promised.items()
        },
    )


def _shares(
    promise: Promise,
    promised: Mapping[str, float],
    group: Mapping[str, str],
    records: Sequence[Judged],
    how: Resampling,
) -> dict[str, PromisedShare]:
    """RETURNS (dict[str, PromisedShare]): By group of labels. group: of each label that something is promised of."""
    counts = count_entities(records, list(promised), lambda _, entity: group.get(entity.label)).array
    if promise.measure == "recall":
        counts[:, :, RIGHT] = _count_covered(records, list(promised), group)
    ends = intervals(counts, how)
    whole, rate = (GOLD if promise.measure == "recall" else FOUND), RATES.index(promise.measure)
    found = {}
    for i, (name, least) in enumerate(promised.items()):
        entities = int(counts[:, i, whole].sum())
        share = float(counts[:, i, RIGHT].sum() / entities) if entities else None
        interval = None if ends is None else pair_of(ends[:, i, rate])
        found[name] = PromisedShare(
            share=share, interval=interval, entities=entities, verdict=_judge(share, interval, least)
        )
    return found


def _count_covered(records: Sequence[Judged], names: Sequence[str], group: Mapping[str, str]) -> Ints:
    """Count the gold entities that what is set covers, whatever its label among those promised.

    RETURNS (Ints): (documents, groups).
    """
    covered = np.zeros((len(records), len(names)), dtype=np.int64)
    for i, record in enumerate(records):
        set_ = (entity for entity in (*record.found, *record.ignored) if entity.label in group)
        places = {place for entity in set_ for place in range(entity.start, entity.end)} | record.blank
        for entity in record.gold:
            if entity.label in group:
                covered[i, names.index(group[entity.label])] += places.issuperset(range(entity.start, entity.end))
    return covered


def _judge(share: float | None, interval: list[float] | None, promised: float) -> PromiseVerdict:
    if share is None:
        return "nothing to judge"
    if share >= promised:
        return "held"
    return "broken" if interval is not None and interval[1] < promised else "below, by chance or not"
