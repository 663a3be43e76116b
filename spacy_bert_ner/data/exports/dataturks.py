"""Dataturks, whose offsets end at the last character."""

from typing import Any

from spacy_bert_ner.data.documents import CorpusError
from spacy_bert_ner.data.notes import Notes

from .annotated import Draft, DraftSpan
from .spans import check_text, read_span_list
from .unwrapping import ExportRecord
from .visible import Visible


def is_item(value: Any) -> bool:
    """RETURNS (bool): Whether a JSON value is an item."""
    return isinstance(value, dict) and "content" in value and "annotation" in value


def read_item(record: ExportRecord, notes: Notes) -> list[Draft]:
    """Read an item. RETURNS (list[Draft]): One; empty where it is unannotated."""
    where, item = record.where, record.value
    if item["annotation"] is None:
        notes.count("{n} texts without annotation were left out")
        return []
    spans: list[DraftSpan] = []
    try:
        for entry in item["annotation"]:
            for point in entry["points"]:
                # Exclusive ends, as everywhere; the point's text decides between both.
                spans += read_span_list(where, [{**point, "end": point["end"] + 1, "label": x} for x in entry["label"]])
    except (KeyError, TypeError) as error:
        raise CorpusError(f'{where}: found other "annotation" than Dataturks writes') from error
    return [Draft(where, {"content": Visible(check_text(where, item["content"]))}, spans)]
