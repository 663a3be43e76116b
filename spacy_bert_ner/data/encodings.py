"""Decoding of a file: UTF-8, or UTF-16 and UTF-32 where its first bytes show it; no encoding is guessed."""

import json
from pathlib import Path

from .documents import CorpusError


def decode(raw: bytes, path: Path) -> str:
    """Decode a text file without its byte order mark.

    raw (bytes): UTF-16 and UTF-32 are recognised by their byte order mark, or by the zero bytes of the first
        characters.
    path (Path): For the error.
    RETURNS (str): The text, with the file's line ends.
    RAISES: CorpusError with line and offset of the first invalid byte.
    """
    # RFC 4627's rule, which looks at the first four bytes; it holds for any text that begins with ASCII.
    encoding = json.detect_encoding(raw)
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if encoding not in ("utf-8", "utf-8-sig"):
            raise CorpusError(
                f"{path}: begins as {encoding.upper()} but is damaged at byte {error.start}: copy or export it again"
            ) from error
        # The error counts without a byte order mark.
        at = error.start + len(raw) - len(error.object)
        raise undecodable(path, raw.count(b"\n", 0, at) + 1, raw[at], at) from error


def undecodable(path: Path, line: int, byte: int, offset: int) -> CorpusError:
    """Make the error for an invalid byte; the file's encoding is unknown."""
    return CorpusError(
        f"{path}:{line}: byte 0x{byte:02x} at offset {offset} is not UTF-8, expected a UTF-8 file: convert it with "
        "`iconv -f ENCODING -t UTF-8`, where ENCODING is the one of the program that wrote it (Windows writes CP1252, "
        "CP1251, CP932 and others, by country; look at a name with an accent afterwards)"
    )
