"""The text that an annotator saw: plain, of an HTML page, or of a dialogue.

<h1>Anna Berg</h1><p>lives in Oslo.</p>      what the file holds
Anna Berg↵lives in Oslo.                     what becomes the document
Anna Berglives in Oslo.                      the text of Label Studio's global offsets
"""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import accumulate

BLOCK, BREAK = "block", "break"
# Elements that start a new line.
_BLOCKS = re.compile(
    "address|article|aside|blockquote|body|center|dd|details|dialog|div|dl|dt|fieldset|figcaption|figure|footer|form|"
    "h[1-6r]|header|html|li|main|nav|[ou]l|p|pre|section|table|tbody|td|tfoot|th|thead|tr"
)
_UNSEEN = frozenset(["script", "style", "title", "head", "template"])


@dataclass(frozen=True)
class Visible:
    """A text, and which of its characters are not in the file.

    added (tuple[tuple[int, str], ...]): Index and kind of line feeds that stand for an element's end (BLOCK) or for a
        `<br>` (BREAK): tools never count the former, and sometimes the latter.
    paragraphs (tuple[int, ...]): Index of the first character of each paragraph of a dialogue.
    is_markup (bool): Whether the file holds markup.
    """

    text: str
    added: tuple[tuple[int, str], ...] = ()
    paragraphs: tuple[int, ...] = ()
    is_markup: bool = False


def from_paragraphs(paragraphs: list[str]) -> Visible:
    """Join the paragraphs of a dialogue, one a line."""
    starts = [0, *accumulate(len(paragraph) + 1 for paragraph in paragraphs)][: len(paragraphs)]
    added = tuple((start - 1, BLOCK) for start in starts[1:])
    return Visible("\n".join(paragraphs), added, tuple(starts))


def from_html(markup: str) -> Visible:
    """Read the visible text of HTML, a line per block."""
    parser = _TextParser()
    parser.feed(markup)
    parser.close()
    return Visible("".join(parser.parts), tuple(parser.added), is_markup=True)


class _TextParser(HTMLParser):
    """Collects text, and a line feed where a block starts or ends and the text has none."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.added: list[tuple[int, str]] = []
        self._length = 0
        self._unseen = 0
        self._breaks = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        self._unseen += tag in _UNSEEN
        self._breaks |= bool(_BLOCKS.fullmatch(tag))
        if tag == "br":
            self._add(BREAK)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open and close an element."""
        if tag == "br":
            self._add(BREAK)
        self._breaks |= bool(_BLOCKS.fullmatch(tag))

    def handle_endtag(self, tag: str) -> None:
        """Close an element."""
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        self._breaks |= bool(_BLOCKS.fullmatch(tag))

    def handle_data(self, data: str) -> None:
        """Add text."""
        if self._unseen:
            return
        if self._breaks and self.parts and not data[:1].isspace() and not self.parts[-1][-1:].isspace():
            self._add(BLOCK)
        self._breaks = False
        self._append(data)

    def _add(self, kind: str) -> None:
        self.added.append((self._length, kind))
        self._append("\n")

    def _append(self, text: str) -> None:
        self.parts.append(text)
        self._length += len(text)
