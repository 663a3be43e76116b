"""From a file's bytes to text: UTF-8, or UTF-16 and UTF-32 where the file shows that it is; nothing is guessed."""

import json
from pathlib import Path

from .documents import CorpusError


def decode(raw: bytes, path: Path) -> str:
    """Decode a text file, a byte order mark left out.

    raw (bytes): All of it. UTF-16 and UTF-32 are known by their byte order mark, or by the zero bytes of the first
        characters.
    path (Path): The file, for the error.
    RETURNS (str): The text, line ends as they are.
    RAISES: CorpusError with line and offset of the first byte that is wrong.
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
        # Of its own part of the file, where a byte order mark comes first.
        at = error.start + len(raw) - len(error.object)
        raise undecodable(path, raw.count(b"\n", 0, at) + 1, raw[at], at) from error


def undecodable(path: Path, line: int, byte: int, offset: int) -> CorpusError:
    """Make the error for a byte that is not UTF-8; which encoding it is, the file does not say."""
    return CorpusError(
        f"{path}:{line}: byte 0x{byte:02x} at offset {offset} is not UTF-8, expected a UTF-8 file: convert it with "
        "`iconv -f ENCODING -t UTF-8`, where ENCODING is the one of the program that wrote it (Windows writes CP1252, "
        "CP1251, CP932 and others, by country; look at a name with an accent afterwards)"
    )
