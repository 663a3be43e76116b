"""Known formats that are not read: the error names the format and the nearest one that is."""

import re
from pathlib import Path

from .documents import CorpusError

_BYTES = (
    (b"x\x9c", "this seems to be a .spacy file, and nothing to convert; expected what it was made of"),
    (b"PK\x03\x04", "this is a zip archive, or an Excel file, expected what is in it: unpack it, or export CSV"),
    (b"\x1f\x8b", "this is a gzip archive, expected what is in it: unpack it"),
)
_TEXTS = (
    (
        re.compile(r"\s*<(\?xml|!DOCTYPE|[A-Za-z])"),
        "this is XML, expected brat, WebAnno TSV, JSON or a column file: export it as one of these",
    ),
    (
        re.compile(r"#begin document\b"),
        "this is CoNLL-2012 (OntoNotes), whose entities stand in brackets, expected a column file with a tag a token",
    ),
    (
        re.compile(r'c=".*" \d+:\d+ \d+:\d+\|\|t="'),
        "this is i2b2's annotation without its text, expected brat's pairs of .txt and .ann, or a column file",
    ),
)


def refuse_format(path: Path, raw: bytes) -> None:
    """RAISES: CorpusError where a file has a known format that is not read; it names the format."""
    for start, message in _BYTES:
        if raw.startswith(start):
            raise CorpusError(f"{path}: {message}")
    first = raw[:2000].removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    for pattern, message in _TEXTS:
        if pattern.match(first):
            raise CorpusError(f"{path}: {message}")
