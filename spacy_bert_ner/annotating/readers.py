"""Readers of the input's formats: each yields a file's records one by one, and never fails on a single record.

Faults of a whole file (no table, no such column) raise errors; faults of one line or row are recorded in its record,
which then fails by itself.
"""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from .annotation_error import AnnotationError
from .inputs import STDIN, InputFile
from .output_options import OutputOptions
from .parquet import read_parquet, read_schema
from .records import InputRecord, Positioned

# A cell may hold a book; csv's own limit is 131,072 characters.
csv.field_size_limit(2**31 - 1)
MAX_DEPTH = 100
TOO_DEEP = f"JSON nested deeper than {MAX_DEPTH} levels, expected less"
# The key of Doc.user_data under which this project's .spacy files hold a document's other fields.
USER_FIELDS = "fields"


def read_sources(sources: Sequence[InputFile], options: OutputOptions) -> Iterator[Positioned]:
    """Read the whole input.

    YIELDS (Positioned): Every record in order.
    RAISES: AnnotationError where a file cannot be read at all.
    """
    before = 0
    for source in sources:
        for record, position in READERS[source.kind](source, options):
            yield Positioned(record, before + position)
        before += source.size


def check_sources(sources: Sequence[InputFile], options: OutputOptions) -> None:
    """RAISES: AnnotationError where a table lacks a requested column: at once, not after hours."""
    for source in sources:
        if source.kind == "parquet":
            read_schema(source, options)
        elif source.kind in ("csv", "tsv") and source.name != STDIN:
            next(read_csv(source, options), None)


def read_jsonl(source: InputFile, options: OutputOptions) -> Iterator[Positioned]:
    """Read JSON Lines; empty lines are skipped."""
    for number, line, position in _lines(source):
        place = f"{source.name}:{number}"
        if line.strip():
            yield Positioned(_parse(place, line), position)


def read_text(source: InputFile, options: OutputOptions) -> Iterator[Positioned]:
    """Read plain text: a document per line, empty lines skipped, or a document per file."""
    if options.text_files == "documents":
        with _open(source) as file:
            content = file.read().removeprefix(b"\xef\xbb\xbf")
        yield Positioned(_decode(source.name, content, options.text_field), len(content))
        return
    for number, line, position in _lines(source):
        if line.strip():
            yield Positioned(_decode(f"{source.name}:{number}", line, options.text_field), position)


def read_csv(source: InputFile, options: OutputOptions) -> Iterator[Positioned]:
    """Read comma-separated or, with the suffix .tsv, tab-separated values with a header."""
    delimiter = "\t" if source.kind == "tsv" else ","
    with _open(source) as binary:
        # Invalid UTF-8 becomes lone surrogates, by which its cells are recognised.
        file = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
        rows = csv.reader(file, delimiter=delimiter)
        header = next(rows, [])
        _check_header(source, header, options)
        number = 0
        while True:
            try:
                row = next(rows, None)
            except csv.Error as error:
                raise AnnotationError(f"{source.name}: line {rows.line_num} cannot be read: {error}") from error
            if row is None:
                break
            if row:
                number += 1
                # A pipe has no position.
                position = 0 if source.name == STDIN else binary.tell()
                yield Positioned(_row(f"{source.name}:#{number}", header, row), position)
        file.detach()


def read_spacy(source: InputFile, options: OutputOptions) -> Iterator[Positioned]:
    """Read the texts of a DocBin, and the fields that this project's output stores."""
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    try:
        docbin = DocBin().from_disk(source.path)
    except (ValueError, KeyError) as error:
        raise AnnotationError(f"{source.name}: not a .spacy file ({error}), expected one") from error
    for number, doc in enumerate(docbin.get_docs(Vocab()), 1):
        fields = doc.user_data.get(USER_FIELDS)
        own = dict(fields) if isinstance(fields, dict) else {}
        record = InputRecord(f"{source.name}:#{number}", {**own, options.text_field: doc.text})
        yield Positioned(record, source.size * number // len(docbin))


READERS: dict[str, Callable[[InputFile, OutputOptions], Iterator[Positioned]]] = {
    "jsonl": read_jsonl,
    "text": read_text,
    "csv": read_csv,
    "tsv": read_csv,
    "spacy": read_spacy,
    "parquet": read_parquet,
}


def _open(source: InputFile) -> BinaryIO:
    if source.name == STDIN:
        # Not closed with the file object: the rest of the process may still use it.
        return open(sys.stdin.fileno(), "rb", closefd=False)
    return Path(source.name).open("rb")


def _lines(source: InputFile) -> Iterator[tuple[int, bytes, int]]:
    """YIELDS: Each line's number, from 1, the line without its end, and the bytes read so far."""
    position = 0
    with _open(source) as file:
        for number, line in enumerate(file, 1):
            position += len(line)
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            yield number, line.rstrip(b"\r\n"), position


def _parse(place: str, line: bytes) -> InputRecord:
    decoded = _decode(place, line, "line")
    if decoded.problem:
        return decoded
    try:
        fields = json.loads(decoded.fields["line"])
    except json.JSONDecodeError as error:
        return InputRecord(
            place, decoded.fields, f"no JSON: {error.msg} at character {error.colno}, expected one object"
        )
    except RecursionError:
        # How deep the parser goes depends on the version of Python.
        return InputRecord(place, decoded.fields, TOO_DEEP)
    except ValueError as error:
        # Numbers of thousands of digits.
        return InputRecord(place, decoded.fields, f"JSON that cannot be read: {error}")
    if not isinstance(fields, dict):
        return InputRecord(place, decoded.fields, f"JSON of type {type(fields).__name__}, expected one object")
    if _is_deep(line, fields):
        return InputRecord(place, decoded.fields, TOO_DEEP)
    return InputRecord(place, fields)


def _is_deep(line: bytes, value: Any) -> bool:
    """RETURNS (bool): Whether JSON is nested too deep to be pickled and written."""
    if line.count(b"[") + line.count(b"{") <= MAX_DEPTH:
        return False
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for each in level if isinstance(each, dict | list) for child in _children(each)]
    return bool(level)


def _children(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _decode(place: str, content: bytes, name: str) -> InputRecord:
    try:
        return InputRecord(place, {name: content.decode("utf-8")})
    except UnicodeDecodeError as error:
        problem = f"no UTF-8: byte 0x{content[error.start]:02x} at {error.start}, expected UTF-8: convert the file"
        return InputRecord(place, {name: content.decode("utf-8", "backslashreplace")}, problem)


def _check_header(source: InputFile, header: list[str], options: OutputOptions) -> None:
    asked: dict[str, Sequence[str | None]] = {
        "--text-field": [options.text_field],
        "--id-field": [options.id_field],
        "--fields": options.fields or (),
    }
    wanted = [(option, name) for option, names in asked.items() for name in names if name is not None]
    if missing := [(option, name) for option, name in wanted if name not in header]:
        found, names = ", ".join(header) or "nothing", ", ".join(name for _, name in missing)
        raise AnnotationError(
            f"{source.name}: no column {names} in its first line ({found}), expected the columns' names there, and "
            f"{', '.join(dict(missing))} to be among them"
        )
    if len(set(header)) < len(header):
        raise AnnotationError(f"{source.name}: columns {', '.join(header)}, expected every name once")


def _row(place: str, header: list[str], row: list[str]) -> InputRecord:
    fields: dict[str, Any] = dict(zip(header, row, strict=False))
    if len(row) != len(header):
        return InputRecord(place, {"row": row}, f"{len(row)} cells, expected {len(header)}, as in the first line")
    for name, cell in fields.items():
        if any("\udc80" <= character <= "\udcff" for character in cell):
            return InputRecord(place, fields, f"column {name} is no UTF-8, expected UTF-8: convert the file")
    return InputRecord(place, fields)
