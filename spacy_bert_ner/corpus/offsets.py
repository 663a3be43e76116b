"""Annotation by character offsets, as annotation tools export it: Prodigy, doccano, Label Studio.

    Prodigy        {"text": ..., "spans": [{"start": 0, "end": 4, "label": "PER"}], "answer": "accept"}
    doccano        {"text": ..., "label": [[0, 4, "PER"]]}
                   {"text": ..., "entities": [{"start_offset": 0, "end_offset": 4, "label": "PER"}]}
    Label Studio   {"data": {"text": ...}, "annotations": [{"result": [{"type": "labels",
                       "value": {"start": 0, "end": 4, "labels": ["PER"]}}]}]}
                   {"text": ..., "label": [{"start": 0, "end": 4, "labels": ["PER"]}]}

A file holds one JSON object a line, or one JSON array of objects. Offsets count code points, as Python does; where a
span carries its own text (Label Studio) and only UTF-16 units lead to it, they are taken for that.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from spacy_bert_ner.corpus.documents import CorpusError

# Where texts and their entities stand in the exports.
_SPAN_KEYS = ("spans", "entities", "label", "labels")
_EXPECTED = (
    'expected "text" and one of "spans", "entities" and "label", as Prodigy and doccano export them, or "data" and '
    '"annotations" as Label Studio does'
)


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A text and its entities.

    where (str): FILE:LINE, or FILE:#N for the Nth object of an array.
    text (str): The text.
    spans (tuple[tuple[int, int, str], ...]): First character, character after the last, and type; sorted.
    """

    where: str
    text: str
    spans: tuple[tuple[int, int, str], ...]


def read_offsets(path: Path) -> Iterator[AnnotatedText]:
    """Read an export of an annotation tool.

    path (Path): A .jsonl or .json file.
    YIELDS (AnnotatedText): Texts in order; those that nobody has annotated, or that were rejected, ignored or
        cancelled, are left out.
    RAISES: CorpusError for anything else than the shapes above, for offsets outside of the text and for entities that
        overlap.
    """
    for where, record in _records(path):
        if not isinstance(record, dict):
            raise CorpusError(f"{where}: found {type(record).__name__}, {_EXPECTED}")
        if record.get("answer", "accept") != "accept":
            continue
        text, found = _text_and_spans(where, record)
        if found is None:
            continue
        spans = sorted(_span(where, text, span) for span in found)
        for left, right in pairwise(spans):
            if right[0] < left[1]:
                raise CorpusError(
                    f"{where}: the entities {_quote(text, left)} and {_quote(text, right)} overlap; a token can be in "
                    "one entity only: remove one of them"
                )
        yield AnnotatedText(where, text, tuple(spans))


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    text = path.read_text(encoding="utf-8-sig")
    if text.lstrip().startswith("["):
        yield from ((f"{path}:#{i}", record) for i, record in enumerate(_parse(text, str(path)), start=1))
        return
    # Not splitlines, which takes other characters than line feeds for ends.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{path}:{number}", _parse(line, f"{path}:{number}")


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise CorpusError(
            f"{where}: this is no JSON: {error.msg} at line {error.lineno}, character {error.colno}; expected one "
            "object a line, or one array of objects"
        ) from error
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits, or brackets nested as deep.
        raise CorpusError(f"{where}: this JSON cannot be read: {error}") from error


def _text_and_spans(where: str, record: dict[str, Any]) -> tuple[str, list[Any] | None]:
    """Find the text and its entities. RETURNS: Both; None for the entities where nobody has annotated the text."""
    if "annotations" in record and isinstance(record.get("data"), dict):
        texts = [value for value in record["data"].values() if isinstance(value, str)]
        text = record["data"].get("text", texts[0] if len(texts) == 1 else None)
        found = _label_studio_spans(where, record["annotations"])
    else:
        text = record.get("text")
        keys = [key for key in _SPAN_KEYS if key in record]
        # Label Studio's short form leaves the key out where somebody has found no entity.
        if not keys and "annotation_id" not in record:
            raise CorpusError(f"{where}: found the keys {', '.join(map(repr, record))}; {_EXPECTED}")
        found = next((record[key] for key in keys if record[key] is not None), None) if keys else []
        if found is not None and not isinstance(found, list):
            raise CorpusError(f"{where}: found {json.dumps(found)[:80]} for entities, expected a list; {_EXPECTED}")
    if not isinstance(text, str):
        raise CorpusError(f"{where}: found no text; {_EXPECTED}")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise CorpusError(f"{where}: the text holds half of a surrogate pair, expected Unicode: export it again")
    return text, found


def _label_studio_spans(where: str, annotations: Any) -> list[Any] | None:
    """Take the spans of the last finished annotation. RETURNS: None where there is none."""
    try:
        finished = [entry for entry in annotations if not entry.get("was_cancelled")]
        # Where several people annotated it, the last one's word counts.
        results = finished[-1]["result"] if finished else None
        return results and [result["value"] for result in results if result.get("type") == "labels"]
    except (AttributeError, KeyError, TypeError) as error:
        raise CorpusError(f'{where}: found other "annotations" than Label Studio writes; {_EXPECTED}') from error


def _span(where: str, text: str, span: Any) -> tuple[int, int, str]:
    if isinstance(span, list) and len(span) == 3:
        start, end, label = span
    elif isinstance(span, dict):
        start, end = span.get("start", span.get("start_offset")), span.get("end", span.get("end_offset"))
        labels = span.get("labels")
        label = span.get("label", labels[0] if isinstance(labels, list) and len(labels) == 1 else None)
    else:
        start, end, label = None, None, None
    # By the exact type: a truth value is an int, too.
    if not (type(start) is int and type(end) is int and isinstance(label, str) and label.strip()):
        raise CorpusError(
            f"{where}: found the entity {json.dumps(span)}; expected first and last character and one type"
        )
    if isinstance(span, dict) and isinstance(span.get("text"), str):
        start, end = _by_code_points(text, start, end, span["text"])
    if not 0 <= start < end <= len(text):
        raise CorpusError(
            f"{where}: found the entity {start} to {end} ({label}) in a text of {len(text)} characters; expected "
            "offsets in characters (not bytes), the end behind the last one"
        )
    return start, end, label


def _by_code_points(text: str, start: int, end: int, quoted: str) -> tuple[int, int]:
    """Mend offsets in UTF-16 units, in which an emoji counts as two. quoted: What the span itself says it covers."""
    if text.isascii() or start < 0 or text[start:end] == quoted:
        return start, end
    units = text.encode("utf-16-le")
    if units[2 * start : 2 * end] != quoted.encode("utf-16-le", "surrogatepass"):
        return start, end
    first = len(units[: 2 * start].decode("utf-16-le", "replace"))
    return first, first + len(quoted)


def _quote(text: str, span: tuple[int, int, str]) -> str:
    start, end, label = span
    return f"{text[start:end]!r} ({label}, {start} to {end})"
