"""Exports of annotation tools: a text and its entities in characters.

file ──► records ──► drafts ──► merged, their fields chosen ──► settled: AnnotatedText
records.py           shapes.py  binary.py, fields.py            settle.py, readings.py, conflicts.py
"""

from spacy_bert_ner.data.notes import Notes

from .annotated import AnnotatedText, CharSpan, Draft, DraftSpan
from .binary import merge_answers
from .fields import choose_texts
from .settle import settle
from .shapes import EXPORT_SHAPES, ExportShape, read_record
from .unwrapping import ExportRecord, list_records
from .visible import Visible

__all__ = [
    "EXPORT_SHAPES",
    "AnnotatedText",
    "CharSpan",
    "Draft",
    "DraftSpan",
    "ExportRecord",
    "ExportShape",
    "Visible",
    "list_records",
    "read_export",
    "settle",
]


def read_export(records: list[ExportRecord], notes: Notes) -> list[AnnotatedText]:
    """Read an export of an annotation tool.

    notes (Notes): Receives what was left out, merged or reinterpreted.
    RETURNS (list[AnnotatedText]): In order, without unannotated, rejected, ignored and cancelled texts.
    RAISES: CorpusError for records of no known shape, for texts that are references to files, for offsets outside of
        the text, and for entities that overlap, all of them at once.
    """
    drafts = [draft for record in records for draft in read_record(record, notes)]
    return settle(merge_answers(choose_texts(drafts, notes), notes), notes)
