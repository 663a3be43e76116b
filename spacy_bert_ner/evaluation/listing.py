"""Every error as data, for whoever corrects a corpus or a pipeline."""

from collections.abc import Iterable, Sequence
from typing import Any

from spacy_bert_ner.tags import Entity

from .document_records import Record
from .error_kinds import Case
from .excerpts import Quote, quote


def list_errors(records: Sequence[Record], cases: Iterable[Case]) -> list[dict[str, Any]]:
    """List all errors in the order of the corpus.

    records (Sequence[Record]): The documents, on gold tokens.
    cases (Iterable[Case]): From `errors.find_cases`.
    RETURNS (list[dict[str, Any]]): For each, "document" (from 0, those without tokens left out), "verdict" (of
        errors.VERDICTS), "text" (its sentence, or what of it is near), and both readings, "gold" and "predicted": null,
        or "start" and "end" in that text, "text", "label", "tokens" of the document, and of predictions "confidence".
    """
    return [_describe(records[case.document], case) for case in cases if case.verdict != "right"]


def _describe(record: Record, case: Case) -> dict[str, Any]:
    quoted = quote(record, case)
    gold = _reading(quoted, case.gold) if case.gold else None
    predicted = None
    if case.found:
        predicted = _reading(quoted, case.found) | {"confidence": record.scores.get(case.found)}
    return {
        "document": case.document,
        "verdict": case.verdict,
        "text": quoted.text,
        "gold": gold,
        "predicted": predicted,
    }


def _reading(quoted: Quote, entity: Entity) -> dict[str, Any]:
    (at,) = quoted.place([entity])
    text = quoted.text[at.start : at.end]
    return {"start": at.start, "end": at.end, "text": text, "label": entity.label, "tokens": [entity.start, entity.end]}
