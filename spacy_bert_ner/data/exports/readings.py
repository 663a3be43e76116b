"""Ways to count characters, of which the right one places every span at its own text.

    text          A  CR LF  n  n  a     🎉        offsets of the last character
    code points   0  1  2   3  4  5     6         Python
    CRLF as one   0  1  1   2  3  4     5         a browser's text field
    UTF-16 units  0  1  2   3  4  5     6 and 7   JavaScript, Java
    UTF-8 bytes   0  1  2   3  4  5     6 to 9

A reading gives each character a width; offsets are sums of widths.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt

from .visible import BLOCK, BREAK, Visible

Widths = npt.NDArray[np.int64]

_CR, _LF, _JOINER = 0x0D, 0x0A, 0x200D
_REGIONAL = (0x1F1E6, 0x1F1FF)
_SKIN = (0x1F3FB, 0x1F3FF)

_UNITS = {
    "characters": "",
    "utf16": "UTF-16 units (JavaScript, Java)",
    "utf8": "UTF-8 bytes",
    "graphemes": "characters with their marks as one",
}
_BLANKS = {
    "all": "",
    "crlf": "CRLF as one",
    "lf": "each line feed as two",
    "collapsed": "a run of whitespace as one",
    "stripped": "no whitespace at the text's beginning",
    "trimmed": "a run of whitespace as one, none at the text's beginning",
    "unbroken": "no line ends",
}
_SHIFTS = {(0, 0): "", (1, 1): "from 1", (0, -1): "the end at the last character", (1, 0): "from 1, to the last"}
# Tried in this order: what tools do by design first, unusual combinations later.
_TIERS: tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[int, int], ...]], ...] = (
    (("characters", "utf16", "utf8"), ("all", "crlf", "lf"), ((0, 0),)),
    (tuple(_UNITS), tuple(_BLANKS), ((0, 0),)),
    (("characters", "utf16"), ("all", "crlf"), ((1, 1), (0, -1), (1, 0))),
)


@dataclass(frozen=True)
class OffsetReading:
    """A way of counting, applied to a text.

    name (str): For messages; "" for code points.
    at (Widths): (characters + 1,). Offset of each character, and of the text's end.
    shift (tuple[int, int]): By how much the offsets of a span's start and end are too large.
    paragraphs (tuple[int, ...]): Index of each paragraph's first character.
    """

    name: str
    at: Widths
    shift: tuple[int, int] = (0, 0)
    paragraphs: tuple[int, ...] = ()

    def locate(self, start: int, end: int, paragraph: int | None = None) -> tuple[int, int] | None:
        """Find the characters of a span.

        paragraph (int | None): The paragraph that the offsets are relative to.
        RETURNS (tuple[int, int] | None): Indices, the end exclusive; None where the offsets fall on no character.
        """
        if paragraph is not None:
            if paragraph >= len(self.paragraphs):
                return None
            base = int(self.at[self.paragraphs[paragraph]])
            start, end = start + base, end + base
        start, end = start - self.shift[0], end - self.shift[1]
        # Characters without width at the span's ends are left out.
        first = int(np.searchsorted(self.at, start, side="right")) - 1
        last = int(np.searchsorted(self.at, end, side="left"))
        if not 0 <= first < last < len(self.at) or self.at[first] != start or self.at[last] != end:
            return None
        return first, last


class OffsetCounter:
    """Counts a text's characters in all ways."""

    def __init__(self, visible: Visible) -> None:
        self.visible = visible
        self.codes = np.frombuffer(visible.text.encode("utf-32-le"), dtype=np.uint32).astype(np.int64)

    def tiers(self) -> Iterator[list[OffsetReading]]:
        """YIELDS (list[OffsetReading]): Distinct readings, tier by tier."""
        for tier in _TIERS:
            yield list(self._readings(*tier))

    def plain(self) -> OffsetReading:
        """RETURNS (OffsetReading): Code points."""
        return self._reading("characters", "all", (0, 0), (0, 0))

    def utf16(self) -> OffsetReading:
        """RETURNS (OffsetReading): UTF-16 units."""
        return self._reading("utf16", "all", (0, 0), (0, 0))

    def _readings(
        self, units: tuple[str, ...], blanks: tuple[str, ...], shifts: tuple[tuple[int, int], ...]
    ) -> Iterator[OffsetReading]:
        kinds = {kind for _, kind in self.visible.added}
        counted = [c for c in product((0, 1), (0, 1)) if (BLOCK in kinds or not c[0]) and (BREAK in kinds or not c[1])]
        seen: set[tuple[bytes, tuple[int, int]]] = set()
        for unit, blank, shift, added in product(units, blanks, shifts, counted):
            reading = self._reading(unit, blank, shift, added)
            if (key := (reading.at.tobytes(), shift)) not in seen:
                seen.add(key)
                yield reading

    def _reading(self, unit: str, blank: str, shift: tuple[int, int], added: tuple[int, int]) -> OffsetReading:
        widths = self._units[unit] * self._factors[blank]
        for index, kind in self.visible.added:
            widths[index] = added[kind == BREAK]
        at = np.concatenate([[0], np.cumsum(widths)])
        names = [name for name in (_UNITS[unit], _BLANKS[blank], _SHIFTS[shift]) if name]
        return OffsetReading(", ".join(names), at, shift, self.visible.paragraphs or (0,))

    @cached_property
    def _units(self) -> dict[str, Widths]:
        codes = self.codes
        return {
            "characters": np.ones_like(codes),
            "utf16": 1 + (codes > 0xFFFF),
            "utf8": 1 + (codes > 0x7F) + (codes > 0x7FF) + (codes > 0xFFFF),
            "graphemes": self._graphemes(),
        }

    @cached_property
    def _factors(self) -> dict[str, Widths]:
        codes, ones = self.codes, np.ones_like(self.codes)
        after_cr = np.concatenate([[False], codes[:-1] == _CR]) if len(codes) else np.zeros(0, bool)
        is_lf = codes == _LF
        space = np.fromiter((c.isspace() for c in self.visible.text), bool, len(codes))
        repeated = space & np.concatenate([[False], space[:-1]]) if len(codes) else space
        leading = np.logical_and.accumulate(space)
        return {
            "all": ones,
            "crlf": ones - (is_lf & after_cr),
            "lf": ones + (is_lf & ~after_cr),
            "collapsed": ones - repeated,
            "stripped": ones - leading,
            "trimmed": ones - (repeated | leading),
            "unbroken": ones - (is_lf | (codes == _CR)),
        }

    def _graphemes(self) -> Widths:
        """Count grapheme clusters, as UAX 29 defines them but for its rules for Hangul."""
        widths = np.ones_like(self.codes)
        flag = False
        for i in np.flatnonzero(self.codes > 0x2FF):
            code = int(self.codes[i])
            before = int(self.codes[i - 1]) if i else 0
            mark = code == _JOINER or _SKIN[0] <= code <= _SKIN[1] or unicodedata.category(chr(code))[0] == "M"
            regional = _REGIONAL[0] <= code <= _REGIONAL[1]
            flag = regional and _REGIONAL[0] <= before <= _REGIONAL[1] and not flag
            if mark or before == _JOINER or flag:
                widths[i] = 0
        return widths


def same_text(found: str, quoted: str) -> bool:
    """RETURNS (bool): Whether two texts are equal, up to whitespace and Unicode normalisation."""
    return _normal(found) == _normal(quoted) or ("\\n" in quoted and _normal(found) == _normal(_unescaped(quoted)))


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _unescaped(text: str) -> str:
    # Some versions of Label Studio escape line feeds.
    return text.replace("\\r", "\r").replace("\\n", "\n")
