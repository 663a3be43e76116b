"""The formats that `convert` reads, as one table: the first whose content a file has is its format.

Each reader takes a Source and returns Contents: documents of tokens, or texts whose entities stand in characters.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from spacy_bert_ner.corpus.columns import read_columns
from spacy_bert_ner.corpus.documents import CorpusError, Document
from spacy_bert_ner.corpus.encodings import decode
from spacy_bert_ner.corpus.exports import SHAPES, AnnotatedText, Record, Shape, list_records, read_export
from spacy_bert_ner.corpus.json_rows import is_row, read_json_rows
from spacy_bert_ner.corpus.notes import Notes

_JSON_SUFFIXES = frozenset([".json", ".jsonl", ".ndjson", ".jsonlines"])


@dataclass(frozen=True)
class Contents:
    """What a file holds: one of both.

    documents (list[Document]): Documents that have tokens of their own.
    texts (list[AnnotatedText]): Texts, to be tokenized.
    notes (Notes): What was left out, merged or taken otherwise.
    """

    documents: list[Document] = field(default_factory=list)
    texts: list[AnnotatedText] = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)


class Source:
    """A file, read no further than a format's test asks for.

    path (Path): The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def raw(self) -> bytes:
        """All its bytes."""
        return self.path.read_bytes()

    @cached_property
    def text(self) -> str:
        """All its text. RAISES: CorpusError where it is in no encoding that it shows."""
        return decode(self.raw, self.path)

    @cached_property
    def is_json(self) -> bool:
        """Whether its name says JSON, or its first line is a JSON object or array, or opens one."""
        if self.path.suffix.lower() in _JSON_SUFFIXES:
            return True
        # Bytes, as other formats are decoded by their own readers.
        first = self.raw.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0].strip()
        return first.startswith((b'{"', b"[{", b'["', b'[["')) or first in (b"{", b"[")

    @cached_property
    def records(self) -> list[Record]:
        """Its JSON records. RAISES: CorpusError where it is no JSON."""
        return list_records(self.path, self.text)

    @property
    def first(self) -> Any:
        """The first JSON record that is not null; None where there is none, or it is no JSON."""
        return next((r.value for r in self.records if r.value is not None), None) if self.is_json else None


@dataclass(frozen=True)
class Format:
    """A format.

    name (str): What messages and the guide call it.
    holds (str): What a file of it holds, by which it is recognised: a line for the guide.
    matches (Callable[[Source], bool]): Whether a file is one.
    read (Callable[[Source], Contents]): Its reader; raises CorpusError.
    """

    name: str
    holds: str
    matches: Callable[[Source], bool]
    read: Callable[[Source], Contents]


def read_file(path: Path) -> Contents:
    """Read an annotated file of any of the formats.

    path (Path): The file.
    RETURNS (Contents): What it holds.
    RAISES: CorpusError with the place of what is wrong.
    """
    source = Source(path)
    return recognise(source).read(source)


def recognise(source: Source) -> Format:
    """Find a file's format by its content. RETURNS (Format): The first of the table that matches."""
    return next(format for format in FORMATS if format.matches(source))


def _read_export(source: Source) -> Contents:
    notes = Notes()
    return Contents(texts=read_export(source.records, notes), notes=notes)


def _read_json_rows(source: Source) -> Contents:
    return Contents(documents=read_json_rows(source.path, source.records))


def _read_columns(source: Source) -> Contents:
    return Contents(documents=read_columns(source.path))


def _export(shape: Shape) -> Format:
    return Format(shape.name, shape.holds, lambda source: shape.matches(source.first), _read_export)


FORMATS: tuple[Format, ...] = (
    Format(
        "Hugging Face rows as JSON",
        '`{"tokens": ["Anna", …], "ner_tags": ["B-PER", …]}`',
        lambda source: is_row(source.first),
        _read_json_rows,
    ),
    *map(_export, SHAPES),
    # JSON of no shape above: the reader says what it found instead.
    Format("JSON", "", lambda source: source.is_json, _read_export),
    Format(
        "column file",
        "a token and its tag a line, a blank line after each sentence",
        lambda source: True,
        _read_columns,
    ),
)

__all__ = ["FORMATS", "Contents", "CorpusError", "Format", "Source", "read_file", "recognise"]
