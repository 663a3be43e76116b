"""The formats that `convert` reads, as one table: a file has the first format that matches its content.

Each reader takes a SourceFile and returns Contents: documents of tokens, or texts with entities in characters.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from .brat import partner, read_pairs
from .columns.reading import LAYOUTS, FileLayout, TextFile
from .documents import CorpusError, Document
from .encodings import decode
from .exports import EXPORT_SHAPES, AnnotatedText, ExportRecord, ExportShape, list_records, read_export
from .json_rows import is_row, read_json_rows
from .notes import Notes
from .pubtator import is_pubtator, read_pubtator
from .reading_options import ReadingOptions
from .refused import refuse_format
from .rows import parquet_rows, read_rows

_JSON_SUFFIXES = frozenset([".json", ".jsonl", ".ndjson", ".jsonlines"])


@dataclass(frozen=True)
class Contents:
    """What a file holds: either documents or texts.

    documents (list[Document]): Already tokenized.
    texts (list[AnnotatedText]): To be tokenized.
    notes (Notes): What was left out, merged or reinterpreted.
    columns (str): Which columns held tokens and tags; empty for formats with fixed ones.
    """

    documents: list[Document] = field(default_factory=list)
    texts: list[AnnotatedText] = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)
    columns: str = ""


class SourceFile:
    """A file, read lazily, as far as the formats' tests need."""

    def __init__(self, path: Path, options: ReadingOptions | None = None) -> None:
        self.path = path
        self.options = options or ReadingOptions()
        self.notes = Notes()

    @cached_property
    def raw(self) -> bytes:
        """All its bytes."""
        return self.path.read_bytes()

    @cached_property
    def text(self) -> str:
        """All its text. RAISES: CorpusError where it cannot be decoded."""
        return decode(self.raw, self.path)

    @cached_property
    def is_json(self) -> bool:
        """Whether its suffix is JSON's, or its first line is or opens a JSON object or array."""
        if self.path.suffix.lower() in _JSON_SUFFIXES:
            return True
        # On bytes, as other formats are decoded by their readers.
        first = self.raw.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0].strip()
        return first.startswith((b'{"', b"[{", b'["', b'[["')) or first in (b"{", b"[")

    @cached_property
    def records(self) -> list[ExportRecord]:
        """Its JSON records. RAISES: CorpusError where it is not JSON."""
        return list_records(self.path, self.text)

    @cached_property
    def lines(self) -> TextFile:
        """Its text for the readers of rows of tokens."""
        return TextFile(self.text, str(self.path), self.options, self.notes)

    @property
    def first(self) -> Any:
        """The first JSON record that is not null; None where there is none, or the file is not JSON."""
        return next((r.value for r in self.records if r.value is not None), None) if self.is_json else None


@dataclass(frozen=True)
class Format:
    """A format.

    name (str): For messages and the guide.
    holds (str): The content by which it is recognised: a line for the guide.
    matches (Callable[[SourceFile], bool]): Whether a file has this format.
    read (Callable[[SourceFile], Contents]): Its reader; raises CorpusError.
    """

    name: str
    holds: str
    matches: Callable[[SourceFile], bool]
    read: Callable[[SourceFile], Contents]


def read_file(path: Path, options: ReadingOptions | None = None) -> Contents:
    """Read an annotated file of any of the formats.

    RAISES: CorpusError with the place of the first error.
    """
    source = SourceFile(path, options)
    refuse_format(path, source.raw)
    return recognise(source).read(source)


def recognise(source: SourceFile) -> Format:
    """Find a file's format by its content. RETURNS (Format): The first of the table that matches."""
    return next(format for format in FORMATS if format.matches(source))


def _read_parquet(source: SourceFile) -> Contents:
    return Contents(read_rows([parquet_rows(source.path)], source.options, source.notes), notes=source.notes)


def _read_brat(source: SourceFile) -> Contents:
    return Contents(texts=read_pairs([source.path], source.notes), notes=source.notes)


def _read_pubtator(source: SourceFile) -> Contents:
    return Contents(texts=read_pubtator(source.text, str(source.path), source.notes), notes=source.notes)


def _read_export(source: SourceFile) -> Contents:
    return Contents(texts=read_export(source.records, source.notes), notes=source.notes)


def _read_json_rows(source: SourceFile) -> Contents:
    return Contents(read_json_rows(source.path, source.records, source.options, source.notes), notes=source.notes)


def _export(shape: ExportShape) -> Format:
    return Format(shape.name, shape.holds, lambda source: shape.matches(source.first), _read_export)


def _layout(layout: FileLayout) -> Format:
    def read(source: SourceFile) -> Contents:
        return Contents(layout.read(source.lines), notes=source.notes, columns=source.lines.columns)

    return Format(layout.name, layout.holds, lambda source: layout.matches(source.lines), read)


FORMATS: tuple[Format, ...] = (
    Format(
        "Hugging Face rows as parquet",
        "columns `tokens` or `words`, and `ner_tags`, `tags`, `ner` or `labels`",
        lambda source: source.raw.startswith(b"PAR1"),
        _read_parquet,
    ),
    Format(
        "brat",
        "`X.ann` with `T1⇥PER 0 4⇥Anna`, beside `X.txt`",
        lambda source: source.path.suffix.lower() == ".ann" or partner(source.path) is not None,
        _read_brat,
    ),
    Format(
        "Hugging Face rows as JSON",
        '`{"tokens": ["Anna", …], "ner_tags": ["B-PER", …]}`',
        lambda source: is_row(source.first),
        _read_json_rows,
    ),
    *map(_export, EXPORT_SHAPES),
    # JSON of no shape above: the reader's error says what was found.
    Format("JSON", "", lambda source: source.is_json, _read_export),
    Format(
        "PubTator",
        r"`1\|t\|Title`, `1\|a\|Abstract`, `1⇥0⇥5⇥Title⇥Disease`",
        lambda s: is_pubtator(s.text),
        _read_pubtator,
    ),
    *map(_layout, LAYOUTS),
)

__all__ = ["FORMATS", "Contents", "CorpusError", "Format", "SourceFile", "read_file", "recognise"]
