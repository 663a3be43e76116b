"""Doubts for people: in their sentence, with the annotation as it is and as it would be with the suggested reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc

from spacy_bert_ner.data.exports.tasks import AnnotationTask, MarkedSpan
from spacy_bert_ner.evaluation.document_records import TokenRecord, token_entities
from spacy_bert_ner.evaluation.excerpts import Quote, quote_tokens
from spacy_bert_ner.rawtext.spaces import known_or_usual_spaces
from spacy_bert_ner.tags import Entity

from .doubts import Doubt, explain
from .places import DOUBT_KINDS, overlap

# Digits of a probability: more would differ from machine to machine.
_DIGITS = 6


@dataclass(frozen=True)
class ShownDoubt:
    """A doubt in its sentence.

    rank (int): From 1, the most probable error.
    doubt (Doubt): The doubt.
    text (str): The sentence, or what of it is near.
    tokens (tuple[int, int]): The document's tokens that the text consists of, the end exclusive.
    annotated, suggested (tuple[Entity, ...]): All entities of the text in its characters, as annotated, and as they
        would be with the suggested reading.
    reason (str): Why it is doubted.
    cuts (tuple[tuple[int, int], ...]): First character and end of every token of the text, omission marks included.
    """

    rank: int
    doubt: Doubt
    text: str
    tokens: tuple[int, int]
    annotated: tuple[Entity, ...]
    suggested: tuple[Entity, ...]
    reason: str
    cuts: tuple[tuple[int, int], ...]


def show_doubts(docs: Sequence[Doc], doubts: Sequence[Doubt]) -> list[ShownDoubt]:
    """Put doubts into their sentences.

    docs (Sequence[Doc]): The annotated documents.
    doubts (Sequence[Doubt]): Ranked.
    RETURNS (list[ShownDoubt]): The same.
    """
    records = {i: _record(docs[i]) for i in {doubt.place.document for doubt in doubts}}
    return [_show(rank, doubt, records[doubt.place.document]) for rank, doubt in enumerate(doubts, start=1)]


def _record(doc: Doc) -> TokenRecord:
    return TokenRecord(
        gold=token_entities(doc),
        found=[],
        words=[token.text for token in doc],
        spaces=known_or_usual_spaces(doc),
        sentences=[sent.start for sent in doc.sents] if doc.has_annotation("SENT_START") else None,
    )


def _show(rank: int, doubt: Doubt, record: TokenRecord) -> ShownDoubt:
    place = doubt.place
    quoted = quote_tokens(record, place.start, place.end)
    kept = [entity for entity in record.gold if not any(overlap(entity, other) for other in place.suggested)]
    changed = sorted([entity for entity in kept if entity not in place.annotated] + list(place.suggested))
    return ShownDoubt(
        rank,
        doubt,
        quoted.text,
        (quoted.first, quoted.first + len(quoted.words)),
        tuple(quoted.place(record.gold)),
        tuple(quoted.place(changed)),
        explain(doubt, record.words),
        _cut(quoted),
    )


def _cut(quoted: Quote) -> tuple[tuple[int, int], ...]:
    """RETURNS (tuple[tuple[int, int], ...]): First character and end of every token of a quotation."""
    places = [(at, at + len(word)) for word, at in zip(quoted.words, quoted.starts, strict=True)]
    # White space at the end is cut off.
    own = [
        (start, end) for (start, end), word in zip(places, quoted.words, strict=True) if quoted.text[start:end] == word
    ]
    if not own:
        return ()
    before = [(0, 1)] if own[0][0] else []
    behind = [(len(quoted.text) - 1, len(quoted.text))] if own[-1][1] < len(quoted.text) else []
    return (*before, *own, *behind)


def to_record(shown: ShownDoubt) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): A doubt as a line of doubts.jsonl.

    Offsets are characters of its text, but for "tokens" and "in_tokens", the place in the document.
    """
    place = shown.doubt.place
    return {
        "rank": shown.rank,
        "kind": place.kind,
        "probability": round(shown.doubt.probability, _DIGITS),
        "posterior": {
            "annotated": round(place.annotated_posterior, _DIGITS),
            "suggested": round(place.suggested_posterior, _DIGITS),
        },
        "document": place.document,
        "tokens": [place.start, place.end],
        "in_tokens": {"annotated": place.annotated, "suggested": place.suggested},
        "text": shown.text,
        "annotated": [_to_span(shown.text, entity) for entity in shown.annotated],
        "suggested": [_to_span(shown.text, entity) for entity in shown.suggested],
        "reason": shown.reason,
    }


def _to_span(text: str, entity: Entity) -> dict[str, Any]:
    return {**entity._asdict(), "text": text[entity.start : entity.end]}


def to_task(shown: ShownDoubt) -> AnnotationTask:
    """RETURNS (AnnotationTask): A doubt as a task for annotation tools."""
    meta = {
        "rank": shown.rank,
        "kind": DOUBT_KINDS[shown.doubt.place.kind],
        "probability": round(shown.doubt.probability, _DIGITS),
        "reason": shown.reason,
        "document": shown.doubt.place.document,
        "tokens": f"{shown.tokens[0]}-{shown.tokens[1]}",
    }
    annotated, suggested = (
        tuple(MarkedSpan(*entity) for entity in reading) for reading in (shown.annotated, shown.suggested)
    )
    return AnnotationTask(shown.text, annotated, suggested, "bert-ner audit", meta, shown.cuts)
