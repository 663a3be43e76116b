"""brat's standoff format: a text file, and a file with its entities in characters.

    T1	Person 0 9	Anna Berg
    T2	Disease 14 18;31 37	lung cancer        discontinuous
    R1	Lives Arg1:T1 Arg2:T3                  other lines: no entities

Source: brat.nlplab.org/standoff.html.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from .documents import CorpusError
from .encodings import decode
from .exports import AnnotatedText, Draft, DraftSpan, Visible, settle
from .exports.placing import fit
from .notes import Notes
from .overlaps import DISCONTINUOUS, OVERLAPPING, REPEATED

_ENTITY = re.compile(r"(T\S+)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")
_OTHER = re.compile(r"(?=[*#]|[REAMN]\d+\t)(.)")
_KINDS = {
    "R": "relations",
    "*": "equivalences",
    "E": "events",
    "A": "attributes",
    "M": "attributes",
    "N": "references",
    "#": "comments",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """An entity of an .ann file: its line, its fragments in characters, its type and its text."""

    where: str
    fragments: tuple[tuple[int, int], ...]
    label: str
    quoted: str | None


def partner(path: Path) -> Path | None:
    """Find the other file of a pair. RETURNS (Path | None): X.txt for X.ann, and the reverse."""
    suffix = {".ann": ".txt", ".txt": ".ann"}.get(path.suffix.lower())
    other = path.with_suffix(suffix) if suffix else None
    return other if other and other.is_file() else None


def read_pairs(paths: Sequence[Path], notes: Notes) -> list[AnnotatedText]:
    """Read texts and their annotation.

    paths (Sequence[Path]): Either file of each pair; one way of counting characters holds for all.
    notes (Notes): Receives entities that overlap, are discontinuous or contradict the text, and lines of other kinds.
    RETURNS (list[AnnotatedText]): The characters of those entities are unknown.
    RAISES: CorpusError where a file of a pair is missing, or a line is malformed.
    """
    drafts, hidden = [], []
    for path in paths:
        draft, unknown = _read_pair(path, notes)
        drafts.append(draft)
        hidden.append(unknown)
    settled = zip(settle(drafts, notes), hidden, strict=True)
    return [replace(text, unknown=tuple(sorted({*text.unknown, *unknown}))) for text, unknown in settled]


def _read_pair(path: Path, notes: Notes) -> tuple[Draft, set[tuple[int, int]]]:
    """Read a pair. RETURNS: A draft with the valid entities, and the characters of the others."""
    other = partner(path)
    if other is None:
        raise CorpusError(
            f"{path}: brat's annotation without its other file, expected {path.stem}.txt and .ann together"
        )
    annotation, source = (path, other) if path.suffix.lower() == ".ann" else (other, path)
    text = decode(source.read_bytes(), source)
    marks = _read_marks(annotation, notes)
    (reading, *_) = fit(Visible(text), [span for mark in marks for span in _draft_spans(mark)]).readings
    bad = _bad(text, marks, [[reading.locate(*part) for part in mark.fragments] for mark in marks], notes)
    # brat writes an entity that continues over a line's end as fragments: it is contiguous.
    spans = [
        DraftSpan(mark.fragments[0][0], mark.fragments[-1][1], mark.label, mark.quoted or None)
        for i, mark in enumerate(marks)
        if i not in bad
    ]
    return Draft(str(annotation), {"text": Visible(text)}, spans), {part for parts in bad.values() for part in parts}


def _read_marks(path: Path, notes: Notes) -> list[Mark]:
    marks = []
    others: Counter[str] = Counter()
    for number, line in enumerate(decode(path.read_bytes(), path).split("\n"), start=1):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        if not line.startswith("T"):
            other = _OTHER.match(line)
            if not other:
                raise CorpusError(
                    f"{path}:{number}: found {line[:60]!r}, expected a line of brat's, as T1<tab>PER 0 4<tab>Anna"
                )
            others[_KINDS[other[1]]] += 1
            continue
        match = _ENTITY.fullmatch(line)
        if match is None:
            raise CorpusError(f"{path}:{number}: found {line[:60]!r}, expected an entity as T1<tab>PER 0 4<tab>Anna")
        parts = [tuple(map(int, part.split())) for part in match[3].split(";")]
        fragments = tuple((start, end) for start, end in parts)
        marks.append(Mark(f"{path}:{number}", fragments, match[2], match[4]))
    for kind, count in others.items():
        notes.count(f"{{n}} {kind} of brat's were left out: they are no entities", count)
    return marks


def _draft_spans(mark: Mark) -> list[DraftSpan]:
    if len(mark.fragments) == 1:
        return [DraftSpan(*mark.fragments[0], mark.label, mark.quoted or None)]
    # The quoted text is of all fragments together.
    return [DraftSpan(start, end, mark.label) for start, end in mark.fragments]


def _bad(
    text: str, marks: Sequence[Mark], located: Sequence[Sequence[tuple[int, int] | None]], notes: Notes
) -> dict[int, list[tuple[int, int]]]:
    """Find entities that tags cannot express, and list them. RETURNS: The characters of each, by its index."""
    bad: dict[int, list[tuple[int, int]]] = {}
    known: dict[tuple[object, str], int] = {}
    for i, (mark, parts) in enumerate(zip(marks, located, strict=True)):
        found = [part for part in parts if part is not None]
        if known.setdefault((mark.fragments, mark.label), i) != i:
            notes.count(REPEATED)
            bad[i] = []
        elif len(parts) > 1 and not _is_whole(text, found):
            notes.place(DISCONTINUOUS, f"{mark.where}: {mark.quoted!r} ({mark.label})")
            bad[i] = found
    spans = sorted((part, i) for i, parts in enumerate(located) for part in parts if part and bad.get(i) != [])
    reach, last = (0, 0), -1
    for part, i in spans:
        if part[0] < reach[1] and i != last:
            for j in (last, i):
                if j not in bad:
                    notes.place(OVERLAPPING, f"{marks[j].where}: {marks[j].quoted!r} ({marks[j].label})")
                    bad[j] = [part for part in located[j] if part is not None]
        if part[1] > reach[1]:
            reach, last = part, i
    return bad


def _is_whole(text: str, parts: Sequence[tuple[int, int]]) -> bool:
    """RETURNS (bool): Whether only whitespace is between the fragments, as over a line's end."""
    gaps = [text[left[1] : right[0]] for left, right in pairwise(parts)]
    return all(not gap.strip() for gap in gaps)
