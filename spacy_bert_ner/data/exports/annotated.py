"""What every reader of texts with character offsets hands over: drafts, as the file has them, and annotated texts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from .visible import Visible


class CharSpan(NamedTuple):
    """An entity in characters of its text: first, after the last, and its type."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A text and its entities.

    where (str): FILE:LINE, or FILE:#N for the Nth of an array.
    text (str): The text.
    spans (tuple[CharSpan, ...]): Sorted, without overlaps, without whitespace at their ends.
    unknown (tuple[tuple[int, int], ...]): Characters of which nobody knows whether they are in an entity.
    partial (bool): Whether nothing is known of what no span covers.
    """

    where: str
    text: str
    spans: tuple[CharSpan, ...]
    unknown: tuple[tuple[int, int], ...] = ()
    partial: bool = False


@dataclass(frozen=True, slots=True)
class DraftSpan:
    """An entity as a file has it.

    start, end (int | None): Offsets, counted as the file counts; None where it has none that can be used.
    label (str): Its type; "" where it has none.
    quoted (str | None): The span's own text, where it carries one: it decides.
    local (tuple[int, int, int] | None): Offsets within a paragraph, and its number, where the file has these, too.
    """

    start: int | None
    end: int | None
    label: str
    quoted: str | None = None
    local: tuple[int, int, int] | None = None

    def places(self) -> Iterator[tuple[int, int, int | None]]:
        """YIELDS (tuple[int, int, int | None]): Offsets, and the paragraph that they count from, if any."""
        if self.local is not None:
            yield self.local
        if self.start is not None and self.end is not None:
            yield self.start, self.end, None


@dataclass(slots=True)
class Draft:
    """A text and its entities as a file has them, for `settle`.

    where (str): Its place.
    texts (dict[str, Visible]): What could be the text, by field; mostly one.
    spans (list[DraftSpan]): The entities.
    field (str): Names what decides for the same of `texts` throughout the file.
    answer (str | None): "accept" or "reject" where it is one answer to one question, not a whole annotation.
    counts_utf16 (bool): Whether the tool is one that counts in UTF-16 units and whose spans carry no text.
    """

    where: str
    texts: dict[str, Visible]
    spans: list[DraftSpan] = field(default_factory=list)
    field: str = ""
    answer: str | None = None
    counts_utf16: bool = False
