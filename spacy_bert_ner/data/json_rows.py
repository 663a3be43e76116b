"""Hugging Face's rows as JSON: `{"tokens": ["Anna", …], "ner_tags": ["B-PER", …]}`, one a line or in an array."""

from pathlib import Path
from typing import Any

from .documents import CorpusError, Document
from .exports import ExportRecord
from .notes import Notes
from .reading_options import ReadingOptions
from .rows import DOCUMENT_IDS
from .sentences import TaggedSentence
from .spelling import unknown_tag
from .tagged import make_documents

_TOKENS = ("tokens", "words")
_TAGS = ("ner_tags", "tags", "ner", "labels")


def is_row(value: Any) -> bool:
    """RETURNS (bool): Whether a JSON value is a row: a list of words and a list of tags."""
    if not isinstance(value, dict):
        return False
    tokens, tags = _column(value, _TOKENS), _column(value, _TAGS)
    return tokens is not None and tags is not None and all(isinstance(token, str) for token in value[tokens])


def read_json_rows(path: Path, records: list[ExportRecord], options: ReadingOptions, notes: Notes) -> list[Document]:
    """Read rows.

    path (Path): For messages.
    records (list[ExportRecord]): The file's records; the first one's columns are those of all.
    notes (Notes): Receives assumptions.
    RETURNS (list[Document]): As `make_documents` groups them.
    RAISES: CorpusError with the place of an invalid row or tag.
    """
    first = next(record.value for record in records if is_row(record.value))
    tokens, tags = str(_column(first, _TOKENS)), str(_column(first, _TAGS))
    document = next((key for key in DOCUMENT_IDS if key in first), None)
    sentences = [_read(record, tokens, tags, document) for record in records]
    sentences = [sentence for sentence in sentences if sentence.tokens]
    if not sentences:
        raise CorpusError(f"{path}: no sentences, expected rows with tokens")
    return make_documents(sentences, str(path), options, notes)


def _column(row: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if isinstance(row.get(name), list)), None)


def _read(record: ExportRecord, tokens: str, tags: str, document: str | None) -> TaggedSentence:
    where, row = record.where, record.value
    if not isinstance(row, dict) or not isinstance(row.get(tokens), list) or not isinstance(row.get(tags), list):
        raise CorpusError(f"{where}: no {tokens} and {tags}, expected a list of each in every row")
    if len(row[tokens]) != len(row[tags]):
        raise CorpusError(f"{where}: {len(row[tokens])} {tokens} and {len(row[tags])} {tags}, expected as many of both")
    for i, (token, tag) in enumerate(zip(row[tokens], row[tags], strict=True)):
        if not isinstance(token, str) or not token:
            raise CorpusError(f"{where}, token {i}: found {token!r}, expected text")
        if type(tag) is int:
            raise CorpusError(
                f"{where}, token {i}: the tag is the number {tag}, whose name JSON does not hold, expected "
                "names: write the rows as parquet, which keeps them, or the names in place of the numbers"
            )
        if not isinstance(tag, str):
            raise unknown_tag(f"{where}, token {i}", tag)
    own_id = None if document is None else str(row.get(document))
    # The place is the record's, not the token's.
    return TaggedSentence(tuple(row[tokens]), tuple(row[tags]), own_id, where)
