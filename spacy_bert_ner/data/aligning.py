"""Alignment of character spans with tokens: annotated texts become Docs, and misaligned entities are listed."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .exports import AnnotatedText, CharSpan
from .notes import Notes

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span

MISALIGNED = "{n} entities begin or end within a token; the tokens that they touch count as unannotated:"


def align(nlp: "Language", texts: Iterable[AnnotatedText], notes: Notes, *, partial: bool = False) -> "list[Doc]":
    """Tokenize texts and set their entities.

    nlp (Language): For its tokenizer, which accepts texts of any length.
    notes (Notes): Receives entities that begin or end within a token.
    partial (bool): Whether tokens outside of all spans are unannotated, in all texts.
    RETURNS (list[Doc]): One for each text.
    """
    return [_align(nlp.make_doc(text.text), text, notes, partial or text.partial) for text in texts]


def _align(doc: "Doc", annotated: AnnotatedText, notes: Notes, partial: bool) -> "Doc":
    spans, unknown = [], list(annotated.unknown)
    for entity in annotated.spans:
        span = doc.char_span(entity.start, entity.end, label=entity.label)
        if span is not None:
            spans.append(span)
            continue
        notes.place(MISALIGNED, _misalignment(doc, annotated, entity))
        unknown.append((entity.start, entity.end))
    taken = {token.i for span in spans for token in span}
    missing = {token.i for start, end in unknown for token in _touched(doc, start, end) or ()} - taken
    doc.set_ents(spans, missing=[doc[i : i + 1] for i in sorted(missing)], default="missing" if partial else "outside")
    return doc


def _touched(doc: "Doc", start: int, end: int) -> "Span | None":
    return doc.char_span(start, end, alignment_mode="expand")


def _misalignment(doc: "Doc", annotated: AnnotatedText, entity: CharSpan) -> str:
    start, end, label = entity
    tokens = " | ".join(token.text for token in _touched(doc, start, end) or ())
    return f"{annotated.where}: {annotated.text[start:end]!r} ({label}, {start} to {end}); tokens there: {tokens}"
