"""The JSON values of a file with their places: one a line, one array or one object, in any layout."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .documents import CorpusError

_WHITESPACE = " \t\r\n"


def read_json(path: Path, text: str) -> list[tuple[str, Any]]:
    """Read the values of a JSON file.

    path (Path): For places.
    text (str): One value a line (JSONL), or consecutive values of any number of lines each.
    RETURNS (list[tuple[str, Any]]): Values with their places: FILE:LINE of their first line.
    RAISES: CorpusError with the place of invalid JSON.
    """
    # Not splitlines, which also splits at characters other than line feeds.
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip(_WHITESPACE)]
    if len(lines) > 1 and _has_one_value_a_line([line for _, line in lines[:2]]):
        return [(f"{path}:{number}", _parse(line, f"{path}:{number}")) for number, line in lines]
    return list(_scan(path, text))


def _has_one_value_a_line(first: list[str]) -> bool:
    """RETURNS (bool): Whether a file is JSONL, also where its first line is the invalid one."""
    if _is_json(first[0]):
        return True
    return first[0].lstrip().startswith("{") and first[1].lstrip().startswith("{") and _is_json(first[1])


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _no_json(f"{where}, character {error.colno}", error) from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(where, error) from error


def _scan(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    """Yield consecutive values."""
    decoder = json.JSONDecoder()
    at = _skip(text, 0)
    while at < len(text):
        where = f"{path}:{text.count(chr(10), 0, at) + 1}"
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise _no_json(f"{path}:{error.lineno}, character {error.colno}", error) from error
        except (ValueError, RecursionError) as error:
            raise _unreadable(where, error) from error
        yield where, value
        at = _skip(text, at)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _WHITESPACE:
        at += 1
    return at


def _no_json(where: str, error: json.JSONDecodeError) -> CorpusError:
    return CorpusError(f"{where}: this is no JSON: {error.msg}; expected one object a line, or one array of objects")


def _unreadable(where: str, error: Exception) -> CorpusError:
    # Numbers of thousands of digits, or brackets nested too deep.
    return CorpusError(f"{where}: this JSON cannot be read: {error}")
