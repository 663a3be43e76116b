"""CorefUD's mentions: brackets over the words of a CoNLL-U file.

    # global.Entity = eid-etype-head-other
    Anna     Entity=(e1-person-1
    Berg     Entity=e1)
    Oslo     Entity=(e2-place-1)

Source: Nedoluzhko et al. 2022, CorefUD 1.0.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spacy_bert_ner.data.documents import CorpusError
from spacy_bert_ner.data.notes import Notes
from spacy_bert_ner.data.overlaps import TokenSpan

# Usual names of such brackets in MISC.
BRACKETS = ("Entity", "NE", "ne", "Mention")
_PIECE = re.compile(r"\(([^()]+)(\)?)|([^()]+)\)")
_PART = re.compile(r"\[(\d+)/(\d+)\]")


@dataclass(frozen=True, slots=True)
class Bracket:
    """The brackets of a row.

    where (str): Its place.
    first (int): Index of the first word of a mention that opens here.
    last (int): Index after the last word of a mention that closes here.
    value (str): The brackets.
    """

    where: str
    first: int
    last: int
    value: str


def label_index(comments: Sequence[tuple[int, str]], name: str) -> int:
    """RETURNS (int): Index of the type among a mention's fields; 1 where the comments do not name it."""
    for _, line in comments:
        if match := re.match(rf"#\s*global\.{re.escape(name)}\s*=\s*(\S+)", line):
            fields = match[1].split("-")
            return fields.index("etype") if "etype" in fields else 1
    return 1


def read_brackets(brackets: Sequence[Bracket], index: int, notes: Notes) -> list[TokenSpan]:
    """Read a sentence's mentions.

    brackets (Sequence[Bracket]): Its rows.
    index (int): Which field is the type.
    notes (Notes): Receives mentions of words that the text does not have.
    RETURNS (list[TokenSpan]): The mentions, discontinuous ones as one span.
    RAISES: CorpusError where a bracket is not matched, or a mention has no type.
    """
    opened: list[tuple[str, str, Bracket]] = []
    parts: dict[str, tuple[set[int], str, str]] = {}
    spans = []
    for bracket, opens, closes in _pieces(brackets):
        if opens:
            fields = opens.split("-")
            label = fields[index] if index < len(fields) else ""
            if not label or label == "_":
                raise CorpusError(
                    f"{bracket.where}: the mention {opens!r} has no type, expected one in its field {index + 1}: these "
                    "brackets mark mentions that are the same, not what they are; MISC may have tags under another name"
                )
            opened.append((fields[0], label, bracket))
        if closes is None:
            continue
        key = closes or fields[0]
        at = next((i for i in reversed(range(len(opened))) if opened[i][0] == key), None)
        if at is None:
            raise CorpusError(f"{bracket.where}: closes {key!r}, which is not open in this sentence")
        _, label, first = opened.pop(at)
        tokens = tuple(range(first.first, bracket.last))
        if part := _PART.search(key):
            whole = parts.setdefault(key.replace(part[0], ""), (set(), label, first.where))
            whole[0].update(tokens)
        elif tokens:
            spans.append(TokenSpan(tokens, label, first.where))
        else:
            notes.count("{n} mentions of words that the text does not have were left out")
    if opened:
        raise CorpusError(f"{opened[0][2].where}: opens {opened[0][0]!r}, which nothing closes in this sentence")
    return spans + [TokenSpan(tuple(sorted(own)), label, where) for own, label, where in parts.values() if own]


def _pieces(brackets: Sequence[Bracket]) -> Iterator[tuple[Bracket, str, str | None]]:
    """YIELDS: The row, what it opens, and what it closes: "" for what it has just opened, None for nothing."""
    for bracket in brackets:
        for opens, closed, closes in _PIECE.findall(bracket.value):
            yield bracket, opens, closes or ("" if closed else None)
