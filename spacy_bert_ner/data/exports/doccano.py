"""doccano, and other records of a text and a list of entities."""

from typing import Any

from spacy_bert_ner.data.notes import Notes

from .annotated import Draft
from .spans import check_text, read_span_list
from .unwrapping import ExportRecord
from .visible import Visible

# The last one of doccano 1.0 and before, whose labels were numbers.
_KEYS = ("entities", "label", "labels", "annotations")


def is_document(value: Any) -> bool:
    """RETURNS (bool): Whether a JSON value is a document."""
    return isinstance(value, dict) and "text" in value and any(key in value for key in _KEYS)


def read_document(record: ExportRecord, notes: Notes) -> list[Draft]:
    """Read a document. RETURNS (list[Draft]): One; empty where its entities are null."""
    value = record.value
    found = next((value[key] for key in _KEYS if value.get(key) is not None), None)
    if found is None:
        notes.count("{n} texts without annotation were left out")
        return []
    text = Visible(check_text(record.where, value["text"]))
    return [Draft(record.where, {"text": text}, read_span_list(record.where, found))]
