"""PubTator: titles and abstracts with entities in characters, as the NCBI disease corpus has them.

    10021369|t|Identification of APC2
    10021369|a|The tumour suppressor…
    10021369	18	22	APC2	Gene	10297
    10021369	CID	D003000	D009369        a relation: no entity

Offsets count from the title's start; the line end between title and abstract is one character. Source: Wei et al.
2013, PubTator.
"""

import re
from dataclasses import dataclass, field

from .documents import CorpusError
from .exports import AnnotatedText, Draft, DraftSpan, Visible, settle
from .notes import Notes

_PART = re.compile(r"(\w+)\|([ta])\|(.*)")


@dataclass
class _Abstract:
    line: int
    parts: list[str] = field(default_factory=list)
    spans: list[DraftSpan] = field(default_factory=list)


def is_pubtator(text: str) -> bool:
    """RETURNS (bool): Whether a text is in PubTator's format."""
    return bool(re.match(r"\s*\w+\|t\|", text))


def read_pubtator(text: str, source: str, notes: Notes) -> list[AnnotatedText]:
    """Read a file in PubTator's format.

    source (str): The file's name, for messages.
    notes (Notes): Receives relations, and entities that contradict the text.
    RETURNS (list[AnnotatedText]): A text for each title with its abstract.
    RAISES: CorpusError with the place of a malformed line, or of entities that overlap.
    """
    found: dict[str, _Abstract] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip("\r")
        if part := _PART.fullmatch(line):
            found.setdefault(part[1], _Abstract(number)).parts.append(part[3])
        elif line.strip():
            id, *cells = line.split("\t")
            if id not in found or len(cells) < 3:
                raise CorpusError(
                    f"{source}:{number}: found {line[:60]!r}, expected PubTator's ID<tab>0<tab>4<tab>Anna<tab>PER"
                )
            if len(cells) < 4 or not (cells[0].isdecimal() and cells[1].isdecimal()):
                notes.count("{n} relations were left out: they are no entities")
                continue
            found[id].spans.append(DraftSpan(int(cells[0]), int(cells[1]), cells[3], cells[2] or None))
    drafts = [Draft(f"{source}:{a.line}", {"text": Visible("\n".join(a.parts))}, a.spans) for a in found.values()]
    return settle(drafts, notes)
