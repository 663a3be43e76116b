"""The lines of a text, grouped into sentences, with documents and comments."""

import re
from dataclasses import dataclass, field

from spacy_bert_ner.data.sentences import DOCSTART
from spacy_bert_ner.data.spelling import UNKNOWN_TAG, is_tag

# Blanks and tabs only: a no-break space or a line separator may be (part of) a token.
SEPARATORS = " \t"
GAP = re.compile(f"[{SEPARATORS}]+")

# `# text = Vitamin O` is a comment, although its last word is a tag.
_PAIR = re.compile(r"#\s*[\w.:]+\s*=\s")
_NEW_DOCUMENT = re.compile(r"#\s*newdoc\b|###MEDLINE:")


@dataclass(slots=True)
class LineBlock:
    """Lines of a sentence with their numbers, and the number of its document."""

    lines: list[tuple[int, str]]
    document: int


@dataclass
class Lines:
    """A text's sentences.

    blocks (list[LineBlock]): Sentences.
    documents (int): Number of marks of a document's start.
    comments (list[tuple[int, str]]): Comments with their line numbers.
    """

    blocks: list[LineBlock] = field(default_factory=list)
    documents: int = 0
    comments: list[tuple[int, str]] = field(default_factory=list)

    def document(self, block: LineBlock) -> str | None:
        """RETURNS (str | None): Id of a sentence's document; None where documents are not marked."""
        return str(block.document) if self.documents else None


def numbered(text: str) -> list[tuple[int, str]]:
    """Number a text's lines from 1, without trailing blanks; lines end with LF or CRLF."""
    return [(i, line.rstrip(SEPARATORS + "\r")) for i, line in enumerate(text.split("\n"), start=1)]


def read_lines(text: str) -> Lines:
    """Find a text's sentences, which end at blank lines and DOCSTART lines.

    A line that starts with # is a comment outside of a sentence where its last cell is not a tag: a token # with a tag
    stays one.
    """
    read = Lines()
    block: list[tuple[int, str]] = []
    for number, line in [*numbered(text), (0, "")]:
        starts = GAP.split(line, maxsplit=1)[0] == DOCSTART
        if line and not starts and (block or not is_comment(line)):
            block.append((number, line))
            continue
        if block:
            read.blocks.append(LineBlock(block, read.documents))
            block = []
        if line and not starts:
            read.comments.append((number, line))
            starts = bool(_NEW_DOCUMENT.match(line))
        read.documents += starts
    return read


def is_comment(line: str) -> bool:
    """RETURNS (bool): Whether a line at the start of a sentence is a comment."""
    if not line.startswith("#"):
        return False
    cells = GAP.split(line)
    # A token's tag may also follow its last pipe.
    last = cells[-1].rpartition("|")[2]
    if last == line or (_PAIR.match(line) and len(cells) > 2):
        return True
    return not (is_tag(last) or last in (UNKNOWN_TAG, "o") or is_tag(last.replace("_", "-", 1)))
