"""Texts with entities in characters: drafts, as the file has them, and annotated texts, with resolved offsets."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from .visible import Visible


class CharSpan(NamedTuple):
    """An entity in characters of its text, the end exclusive."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A text and its entities.

    where (str): FILE:LINE, or FILE:#N for the Nth of an array.
    spans (tuple[CharSpan, ...]): Sorted, without overlaps, without whitespace at their ends.
    unknown (tuple[tuple[int, int], ...]): Unannotated characters.
    partial (bool): Whether all characters outside of the spans are unannotated.
    """

    where: str
    text: str
    spans: tuple[CharSpan, ...]
    unknown: tuple[tuple[int, int], ...] = ()
    partial: bool = False


@dataclass(frozen=True, slots=True)
class DraftSpan:
    """An entity as a file has it.

    start, end (int | None): Offsets in the file's units; None where it has no usable ones.
    label (str): "" where it has none.
    quoted (str | None): The span's own text, where the file has it: it decides between ways of counting.
    local (tuple[int, int, int] | None): Offsets within a paragraph, and its number, where the file has these, too.
    """

    start: int | None
    end: int | None
    label: str
    quoted: str | None = None
    local: tuple[int, int, int] | None = None

    def places(self) -> Iterator[tuple[int, int, int | None]]:
        """YIELDS (tuple[int, int, int | None]): Offsets, and the paragraph that they are relative to, if any."""
        if self.local is not None:
            yield self.local
        if self.start is not None and self.end is not None:
            yield self.start, self.end, None


@dataclass(slots=True)
class Draft:
    """A text and its entities as a file has them, for `settle`.

    where (str): Its place.
    texts (dict[str, Visible]): Candidates for the text, by field; usually one.
    field (str): Drafts with the same value have their text in the same of `texts`.
    answer (str | None): "accept" or "reject" where it answers one question, and is no complete annotation.
    counts_utf16 (bool): Whether the tool counts in UTF-16 units and its spans have no text.
    """

    where: str
    texts: dict[str, Visible]
    spans: list[DraftSpan] = field(default_factory=list)
    field: str = ""
    answer: str | None = None
    counts_utf16: bool = False
