"""Splitting of texts that are too long for a pipeline.

text     It rained. Jane met IBM.⏎She left.          pieces overlap nowhere and leave nothing out:
pieces   |----------------------|-------- |          an entity's offset is its offset in the piece plus the piece's
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

# Where a text may be split, best first: after a line, after a sentence, after a space.
ENDS = (
    re.compile(r"\n+"),
    re.compile(r"[.!?…]+[\"'”’»)\]]*\s+|[。！？]+[」』”]*"),  # noqa: RUF001
    re.compile(r"\s+"),
)


class Piece(NamedTuple):
    """A part of a text; `start` is its offset in characters."""

    start: int
    text: str


def split_text(text: str, max_characters: int) -> Iterator[Piece]:
    """Split a text at the last line end in the second half of what a piece may hold; where there is none, at the last
    sentence end; where there is none, at the last space; and else where the piece is full.

    max_characters (int): Maximum length of a piece.
    YIELDS (Piece): At least one; joined they are the text.
    """
    start = 0
    while len(text) - start > max_characters:
        end = _find_end(text, start + (max_characters + 1) // 2, start + max_characters)
        yield Piece(start, text[start:end])
        start = end
    yield Piece(start, text[start:])


def _find_end(text: str, first: int, last: int) -> int:
    """RETURNS (int): Where to split: an index from `first` to `last`."""
    for pattern in ENDS:
        ends = [found.end() for found in pattern.finditer(text, first - 1, last) if found.end() >= first]
        if ends:
            return ends[-1]
    return last
