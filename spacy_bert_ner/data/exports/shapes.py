"""The shapes of records, as one table: the first that matches reads a record.

Prodigy        {"text": …, "spans": [{"start": 0, "end": 4, "label": "PER"}], "answer": "accept"}
doccano        {"text": …, "label": [[0, 4, "PER"]]}
               {"text": …, "entities": [{"start_offset": 0, "end_offset": 4, "label": "PER"}]}
Label Studio   {"data": {"text": …}, "annotations": [{"result": [{"type": "labels",
                   "value": {"start": 0, "end": 4, "text": "Anna", "labels": ["PER"]}}]}]}
               {"text": …, "label": [{"start": 0, "end": 4, "text": "Anna", "labels": ["PER"]}]}
spaCy          [text, {"entities": [[0, 4, "PER"]]}], and within {"annotations": […]} as NER Annotator has it
               {"text": …, "ents": [{"start": 0, "end": 4, "label": "PER"}]}: doc.to_json()
Dataturks      {"content": …, "annotation": [{"label": ["PER"], "points": [{"start": 0, "end": 3}]}]}
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spacy_bert_ner.data.documents import CorpusError
from spacy_bert_ner.data.notes import Notes

from . import dataturks, doccano, label_studio, prodigy, spacy_json
from .annotated import Draft
from .unwrapping import ExportRecord


@dataclass(frozen=True)
class ExportShape:
    """A shape of records.

    name (str): The tool.
    holds (str): An example, for the guide.
    matches (Callable[[Any], bool]): Whether a JSON value has this shape.
    read (Callable[[ExportRecord, Notes], list[Draft]]): Its reader.
    """

    name: str
    holds: str
    matches: Callable[[Any], bool]
    read: Callable[[ExportRecord, Notes], list[Draft]]


EXPORT_SHAPES: tuple[ExportShape, ...] = (
    ExportShape(
        "Label Studio, JSON",
        '`{"data": {…}, "annotations": [{"result": […]}]}`',
        label_studio.is_label_studio_task,
        label_studio.read_label_studio_task,
    ),
    ExportShape(
        "Label Studio, JSON-MIN",
        '`{"text": …, "label": [{"start": 0, "end": 4, "labels": ["PER"]}]}`, the names being those of the project',
        label_studio.is_short_task,
        label_studio.read_short_task,
    ),
    ExportShape(
        "Prodigy", '`{"text": …, "spans": […], "answer": "accept"}`', prodigy.is_prodigy_task, prodigy.read_prodigy_task
    ),
    ExportShape(
        "doccano",
        '`{"text": …, "label": [[0, 4, "PER"]]}`, or `entities` with `start_offset` and `end_offset`',
        doccano.is_document,
        doccano.read_document,
    ),
    ExportShape(
        "spaCy, NER Annotator",
        '`[text, {"entities": [[0, 4, "PER"]]}]`, in an array or in `{"annotations": […]}`; `doc.to_json()`',
        spacy_json.is_example,
        spacy_json.read_example,
    ),
    ExportShape(
        "Dataturks",
        '`{"content": …, "annotation": [{"label": ["PER"], "points": [{"start": 0, "end": 3, "text": "Anna"}]}]}`',
        dataturks.is_item,
        dataturks.read_item,
    ),
)

_EXPECTED = (
    'expected "text" and one of "spans", "entities" and "label", as Prodigy and doccano export them, "data" and '
    '"annotations" as Label Studio does, [text, {"entities": […]}] as spaCy has it, or "tokens" and "ner_tags" as '
    "Hugging Face's rows do"
)
# Keys of formats that this table does not read, and advice.
_OTHERS = {
    "paragraphs": "this is spaCy 2's JSON of tokens: python -m spacy convert FILE FOLDER reads it",
    "tokens": "tokens stand here without tags",
}


def read_record(record: ExportRecord, notes: Notes) -> list[Draft]:
    """Read a record.

    notes (Notes): Receives what is left out.
    RETURNS (list[Draft]): Its texts, usually one; empty where it is unannotated.
    RAISES: CorpusError where it has no known shape.
    """
    if record.value is None:
        notes.count("{n} texts without annotation were left out")
        return []
    for shape in EXPORT_SHAPES:
        if shape.matches(record.value):
            return shape.read(record, notes)
    raise CorpusError(f"{record.where}: found {_describe(record.value)}; {_EXPECTED}")


def _describe(value: Any) -> str:
    if not isinstance(value, dict):
        return f"{type(value).__name__} {json.dumps(value)[:60]}" if isinstance(value, list) else type(value).__name__
    other = next((f" ({advice})" for key, advice in _OTHERS.items() if key in value), "")
    return f"the keys {', '.join(map(repr, value))}{other}"
