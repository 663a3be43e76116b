"""Placement of a draft's entities: a span's own text decides, and one way of counting holds for all."""

import re
from dataclasses import dataclass, field

from .annotated import CharSpan, Draft, DraftSpan
from .readings import OffsetCounter, OffsetReading, same_text
from .visible import Visible

AMBIGUOUS = "several ways of counting fit, at different places"


@dataclass
class Placed:
    """The entities of a draft in characters.

    reading (str): Name of the way of counting; "" for code points.
    refused (list[tuple[DraftSpan, str]]): Spans that contradict the text, and how.
    outside (list[DraftSpan]): Spans without their own text whose offsets are outside of the text.
    """

    reading: str = ""
    spans: list[CharSpan] = field(default_factory=list)
    refused: list[tuple[DraftSpan, str]] = field(default_factory=list)
    outside: list[DraftSpan] = field(default_factory=list)


@dataclass(frozen=True)
class Fit:
    """Ways of counting under which all spans of a draft fit; where there is none, the one that fits most.

    readings (list[OffsetReading]): At least one.
    decided (bool): Whether exactly one of several fits, which shows how the file's tool counts.
    """

    readings: list[OffsetReading]
    decided: bool = False


def place_spans(draft: Draft, visible: Visible, readings: list[OffsetReading]) -> Placed:
    """Find the characters of a draft's spans.

    A span at different places under several readings is refused as ambiguous.

    readings (list[OffsetReading]): From `fit`.
    """
    placed = Placed(readings[0].name)
    for span in draft.spans:
        found = {_trim(visible.text, _locate(span, reading, visible.text)) for reading in readings}
        characters = _locate(span, readings[0], visible.text)
        if len(found) > 1:
            placed.refused.append((span, AMBIGUOUS))
        elif characters is not None:
            placed.spans.append(CharSpan(*characters, span.label))
        elif span.quoted is None and span.start is not None and not readings[0].name:
            placed.outside.append(span)
        else:
            placed.refused.append((span, _there(span, visible.text)))
    return placed


def fit(visible: Visible, spans: list[DraftSpan], counts_utf16: bool = False) -> Fit:
    """Find the ways of counting that fit.

    counts_utf16 (bool): Whether offsets of spans without text may be UTF-16 units.
    RETURNS (Fit): All that fit all spans, of the first tier that has any.
    """
    counter, text = OffsetCounter(visible), visible.text
    if counts_utf16 and not text.isascii():
        return _by_words(text, spans, counter)
    best = counter.plain()
    most = count_fitting(best, spans, text)
    if not any(span.quoted for span in spans):
        return Fit([best])
    for tier in counter.tiers():
        fits = [(count_fitting(reading, spans, text), reading) for reading in tier]
        if whole := [reading for count, reading in fits if count == len(spans)]:
            return Fit(whole, decided=len(whole) == 1 < len(tier))
        for count, reading in fits:
            if count > most:
                best, most = reading, count
    return Fit([best])


def count_fitting(reading: OffsetReading, spans: list[DraftSpan], text: str) -> int:
    """RETURNS (int): How many spans are within the text and match it under a reading."""
    return sum(_locate(span, reading, text) is not None for span in spans)


def occurrences(text: str, quoted: str) -> list[tuple[int, int]]:
    """Find a span's own text. RETURNS (list[tuple[int, int]]): The characters of each occurrence."""
    pattern = r"\s+".join(map(re.escape, quoted.split()))
    return [match.span() for match in re.finditer(pattern, text)] if pattern else []


def _locate(span: DraftSpan, reading: OffsetReading, text: str) -> tuple[int, int] | None:
    """Find a span's characters. RETURNS: None where they are outside the text, or do not match the span's text."""
    for start, end, paragraph in span.places():
        found = reading.locate(start, end, paragraph)
        if found and (span.quoted is None or same_text(text[slice(*found)], span.quoted)):
            return found
    return None


def _trim(text: str, found: tuple[int, int] | None) -> tuple[int, int] | None:
    """Strip whitespace at a span's ends."""
    stripped = text[slice(*found)].strip() if found else ""
    if not found or not stripped:
        return found
    start = text.index(stripped, found[0])
    return start, start + len(stripped)


def _by_words(text: str, spans: list[DraftSpan], counter: OffsetCounter) -> Fit:
    """Choose between characters and UTF-16 units by the tool's habit of marking whole words."""
    readings = [counter.plain(), counter.utf16()]
    if (readings[0].at == readings[1].at).all():
        return Fit(readings[:1])
    whole = [r for r in readings if all((at := _locate(s, r, text)) and _is_whole(text, *at) for s in spans)]
    return Fit(whole or readings, decided=len(whole) == 1)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Say whether characters begin and end as words do."""
    cut = (start > 0 and text[start - 1].isalnum() and text[start].isalnum()) or (
        end < len(text) and text[end - 1].isalnum() and text[end].isalnum()
    )
    return not cut and not text[start].isspace() and not text[end - 1].isspace()


def _there(span: DraftSpan, text: str) -> str:
    if span.start is None or span.end is None:
        return "it has no offsets that can be used"
    return f"the text there is {text[max(span.start, 0) : max(span.end, 0)]!r}"
