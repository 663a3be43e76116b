"""The records of an export, without the containers that annotation tools wrap them into."""

from pathlib import Path
from typing import Any, NamedTuple

from spacy_bert_ner.data.json_values import read_json


class ExportRecord(NamedTuple):
    """A text with its annotation, as the file has it.

    where (str): FILE:LINE, or FILE:#N for the Nth of an array.
    is_ner_annotator (bool): Whether the file is NER Annotator's.
    """

    where: str
    value: Any
    is_ner_annotator: bool = False


def list_records(path: Path, text: str) -> list[ExportRecord]:
    """List the records of a JSON file: one a line, in one array, in one object, or a single one.

    path (Path): For places.
    RAISES: CorpusError with the place of invalid JSON.
    """
    values = read_json(path, text)
    # In an array, an item's number is more useful than its line.
    places = [str(path)] if len(values) == 1 else [where for where, _ in values]
    return [r for place, (where, value) in zip(places, values, strict=True) for r in _unwrap(place, where, value)]


def is_pair(value: Any) -> bool:
    """RETURNS (bool): Whether a value is spaCy's `[text, {"entities": […]}]`."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict)


def _unwrap(place: str, where: str, value: Any) -> list[ExportRecord]:
    if isinstance(value, list) and not is_pair(value):
        places = [f"{place}:#{i}" for i in range(1, len(value) + 1)]
        return [r for at, item in zip(places, value, strict=True) for r in _unwrap_object(at, at, item)]
    return _unwrap_object(place, where, value)


def _unwrap_object(place: str, where: str, value: Any) -> list[ExportRecord]:
    items = value.get("annotations") if isinstance(value, dict) and not {"data", "text"} & value.keys() else None
    # NER Annotator writes null for an unannotated text.
    if isinstance(items, list) and all(item is None or is_pair(item) for item in items):
        return [ExportRecord(f"{place}:#{i}", item, is_ner_annotator=True) for i, item in enumerate(items, start=1)]
    return [ExportRecord(where, value)]
