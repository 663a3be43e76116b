"""Annotation by character offsets, as annotation tools export it: Prodigy, doccano, Label Studio.

    Prodigy        {"text": ..., "spans": [{"start": 0, "end": 4, "label": "PER"}], "answer": "accept"}
    doccano        {"text": ..., "label": [[0, 4, "PER"]]}
                   {"text": ..., "entities": [{"start_offset": 0, "end_offset": 4, "label": "PER"}]}
    Label Studio   {"data": {"text": ...}, "annotations": [{"result": [{"type": "labels",
                       "value": {"start": 0, "end": 4, "labels": ["PER"]}}]}]}
                   {"text": ..., "label": [{"start": 0, "end": 4, "labels": ["PER"]}]}

A file holds one JSON object a line, or one JSON array of objects.
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
        try:
            yield from ((f"{path}:#{i}", record) for i, record in enumerate(json.loads(text), start=1))
        except json.JSONDecodeError as error:
            raise CorpusError(f"{path}:{error.lineno}: this is no JSON: {error.msg}") from error
        return
    # Not splitlines, which takes other characters than line feeds for ends.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield f"{path}:{number}", json.loads(line)
            except json.JSONDecodeError as error:
                raise CorpusError(
                    f"{path}:{number}: this is no JSON: {error.msg} at character {error.colno}"
                ) from error


def _text_and_spans(where: str, record: dict[str, Any]) -> tuple[str, list[Any] | None]:
    """Find the text and its entities. RETURNS: Both; None for the entities where nobody has annotated the text."""
    if "annotations" in record and isinstance(record.get("data"), dict):
        texts = [value for value in record["data"].values() if isinstance(value, str)]
        text = record["data"].get("text", texts[0] if len(texts) == 1 else None)
        finished = [entry for entry in record["annotations"] if not entry.get("was_cancelled")]
        # Where several people annotated it, the last one's word counts.
        results = finished[-1]["result"] if finished else None
        found = results and [result["value"] for result in results if result.get("type") == "labels"]
        found = results if results == [] else found
    else:
        text = record.get("text")
        keys = [key for key in _SPAN_KEYS if isinstance(record.get(key), list)]
        found = record[keys[0]] if keys else None
        if not keys and not any(key in record for key in _SPAN_KEYS):
            raise CorpusError(f"{where}: found the keys {', '.join(map(repr, record))}; {_EXPECTED}")
    if not isinstance(text, str):
        raise CorpusError(f"{where}: found no text; {_EXPECTED}")
    return text, found


def _span(where: str, text: str, span: Any) -> tuple[int, int, str]:
    if isinstance(span, list) and len(span) == 3:
        start, end, label = span
    elif isinstance(span, dict):
        start, end = span.get("start", span.get("start_offset")), span.get("end", span.get("end_offset"))
        labels = span.get("labels")
        label = span.get("label", labels[0] if isinstance(labels, list) and len(labels) == 1 else None)
    else:
        start, end, label = None, None, None
    if not (isinstance(start, int) and isinstance(end, int) and isinstance(label, str) and label):
        raise CorpusError(
            f"{where}: found the entity {json.dumps(span)}; expected first and last character and one type"
        )
    if not 0 <= start < end <= len(text):
        raise CorpusError(
            f"{where}: found the entity {start} to {end} ({label}) in a text of {len(text)} characters; expected "
            "offsets in characters (not bytes), the end behind the last one"
        )
    return start, end, label


def _quote(text: str, span: tuple[int, int, str]) -> str:
    start, end, label = span
    return f"{text[start:end]!r} ({label}, {start} to {end})"
