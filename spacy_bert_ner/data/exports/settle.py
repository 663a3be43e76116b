"""From drafts to annotated texts: every entity gets its characters, or is listed and its tokens unannotated."""

from spacy_bert_ner.data.documents import CorpusError
from spacy_bert_ner.data.notes import MAX_PLACES, Notes

from .annotated import AnnotatedText, CharSpan, Draft, DraftSpan
from .conflicts import overlaps
from .placing import Fit, Placed, fit, occurrences, place_spans
from .readings import OffsetReading
from .visible import Visible

CONTRADICTIONS = "{n} entities contradict the text, so that their tokens count as unknown:"


def settle(drafts: list[Draft], notes: Notes) -> list[AnnotatedText]:
    """Place the entities of drafts.

    drafts (list[Draft]): With one text each.
    notes (Notes): Receives ways of counting, entities that contradict their text, repeated and trimmed ones.
    RAISES: CorpusError with every entity that is outside of its text or overlaps with another.
    """
    faults: list[str] = []
    fits = [fit(_text(draft), draft.spans, draft.counts_utf16) for draft in drafts]
    known = {found.readings[0].name for found in fits if found.decided}
    texts = [_settle(draft, _known(found, known), notes, faults) for draft, found in zip(drafts, fits, strict=True)]
    if faults:
        more = [f"... and {len(faults) - MAX_PLACES} more"] if len(faults) > MAX_PLACES else []
        raise CorpusError("\n".join(faults[:MAX_PLACES] + more))
    return texts


def _text(draft: Draft) -> Visible:
    (visible,) = draft.texts.values()
    return visible


def _known(found: Fit, known: set[str]) -> list[OffsetReading]:
    """Of the ways of counting that fit a text, choose the one that the file's other texts require, if it is unique."""
    chosen = [reading for reading in found.readings if reading.name in known]
    return chosen if len(chosen) == 1 else found.readings


def _settle(draft: Draft, readings: list[OffsetReading], notes: Notes, faults: list[str]) -> AnnotatedText:
    visible = _text(draft)
    text = visible.text
    placed = place_spans(draft, visible, readings)
    if placed.reading and placed.spans:
        notes.count(f"{{n}} texts have offsets that count {placed.reading}: their spans fit so, and were read so")
    if visible.is_markup:
        notes.count("{n} texts are HTML: what a reader sees of them was taken")
    faults += [
        f"{draft.where}: found the entity {span.start} to {span.end} ({span.label}) in a text of {len(text)} "
        "characters; expected offsets in characters (not bytes), the end behind the last one"
        for span in placed.outside
    ]
    spans, unknown = _entities(draft, text, placed, notes)
    faults += overlaps(draft.where, text, spans)
    hidden, lost = _refused(draft, text, placed, notes)
    partial = draft.answer is not None or lost
    return AnnotatedText(draft.where, text, tuple(spans), tuple(sorted({*unknown, *hidden})), partial)


def _entities(draft: Draft, text: str, placed: Placed, notes: Notes) -> tuple[list[CharSpan], list[tuple[int, int]]]:
    """Trim entities and remove repeated ones. RETURNS: The entities, and the characters of those without a label."""
    spans: set[CharSpan] = set()
    unknown = []
    for start, end, label in placed.spans:
        stripped = text[start:end].strip()
        first = start + text[start:end].find(stripped)
        span = CharSpan(first, first + len(stripped), label)
        if not stripped:
            notes.place(
                "{n} entities cover whitespace only, and were left out:", f"{draft.where}: {label}, {start} to {end}"
            )
        elif not label:
            notes.place(
                "{n} marked spans have no label, so that their tokens count as unknown:", _line(draft, text, span)
            )
            unknown.append((span.start, span.end))
        else:
            notes.count("{n} entities had whitespace at an end, which was taken off", stripped != text[start:end])
            notes.count("{n} entities were given more than once, and kept once", span in spans)
            spans.add(span)
    return sorted(spans), unknown


def _refused(draft: Draft, text: str, placed: Placed, notes: Notes) -> tuple[list[tuple[int, int]], bool]:
    """List spans that contradict the text. RETURNS: Characters that they may mean, and whether one may be anywhere."""
    hidden: list[tuple[int, int]] = []
    lost = False
    for span, reason in placed.refused:
        notes.place(CONTRADICTIONS, f"{draft.where}: {_describe(span)}: {reason}")
        meant = occurrences(text, span.quoted) if span.quoted else []
        hidden += meant
        if span.start is not None and span.end is not None and 0 <= span.start < span.end <= len(text):
            hidden.append((span.start, span.end))
        lost |= not meant
    return hidden, lost


def _line(draft: Draft, text: str, span: CharSpan) -> str:
    return f"{draft.where}: {text[span.start : span.end]!r}, {span.start} to {span.end}"


def _describe(span: DraftSpan) -> str:
    at = "" if span.start is None else f", {span.start} to {span.end}"
    quoted = f"{span.quoted!r} " if span.quoted else ""
    return f"{quoted}({span.label}{at})"
