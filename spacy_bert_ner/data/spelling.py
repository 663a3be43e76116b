"""Spellings of tags: the one that all tags of a corpus share is found, and every tag is respelt PREFIX-LABEL.

    B-PER  I-PER  O     prefix first, as in most corpora; also B_PER and B:PER
    PER-B  PER-I  O     prefix last; also PER_B
    B      I      O     no type: the user names it
    PER    PER    O     no prefix: adjacent tokens of one type are one entity

Prefixes are those of IOB, IOE, BILUO and IOBES; M (BMES) is I, and W (BMEWO) is S.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

from spacy_bert_ner.tags import OUTSIDE

from .documents import CorpusError
from .reading_options import ReadingOptions

# spaCy's tag of unannotated tokens.
UNKNOWN_TAG = "-"

_PREFIXES = {**{prefix: prefix for prefix in "BILUES"}, "M": "I", "W": "S"}
# Certainly not a misspelt PREFIX-LABEL: person-actor, but not X-PER.
_BARE = re.compile(r"[^\W\d_](?![-_:])[\w.&/+-]*\w")


@dataclass(frozen=True)
class Spelling:
    """A way to spell tags.

    example (str): For messages.
    read (Callable[[str], str | None]): Respells a tag other than O as PREFIX-LABEL; None for other spellings.
    """

    example: str
    read: Callable[[str], str | None]


@dataclass(frozen=True)
class Assessment:
    """How well the cells of a column read as tags.

    spelling (Spelling): The most frequent one.
    labels (frozenset[str]): Entity types.
    share (float): Share of the cells that are tags.
    """

    spelling: Spelling
    labels: frozenset[str]
    share: float


def _first(separator: str, tag: str) -> str | None:
    prefix, _, label = tag.partition(separator)
    return f"{_PREFIXES[prefix]}-{label}" if prefix in _PREFIXES and label else None


def _last(separator: str, tag: str) -> str | None:
    label, _, prefix = tag.rpartition(separator)
    return f"{_PREFIXES[prefix]}-{label}" if prefix in _PREFIXES and label else None


def _bare(tag: str) -> str | None:
    return f"I-{tag}" if tag else None


def _typeless(label: str, tag: str) -> str | None:
    return f"{_PREFIXES[tag]}-{label}" if tag in _PREFIXES else None


USUAL_SPELLING = Spelling("B-PER", lru_cache(maxsize=4096)(partial(_first, "-")))
_PREFIXED = (
    USUAL_SPELLING,
    Spelling("B_PER", partial(_first, "_")),
    Spelling("B:PER", partial(_first, ":")),
    Spelling("PER-B", partial(_last, "-")),
    Spelling("PER_B", partial(_last, "_")),
)
_BARE_SPELLING = Spelling("PER", _bare)


def is_outside(tag: str, lower: bool = False) -> bool:
    """RETURNS (bool): Whether a tag is O, or with `lower`, where the user chose the column, o."""
    return tag == OUTSIDE or (lower and tag == "o")


def is_tag(tag: str) -> bool:
    """RETURNS (bool): Whether a tag is O or in the usual spelling."""
    return tag == OUTSIDE or USUAL_SPELLING.read(tag) is not None


def assess(counts: Mapping[str, int], options: ReadingOptions, lower: bool = False) -> Assessment | None:
    """Find the spelling of a column's tags.

    counts (Mapping[str, int]): Occurrences of each cell.
    options (ReadingOptions): `format` and `label` allow spellings that the cells alone do not show.
    lower (bool): Whether o is O.
    RETURNS (Assessment | None): None where the cells cannot be tags.
    """
    total = sum(counts.values())
    inside = {tag: n for tag, n in counts.items() if not is_outside(tag, lower) and tag != UNKNOWN_TAG}
    outside = sum(n for tag, n in counts.items() if is_outside(tag, lower))
    if not inside:
        return Assessment(USUAL_SPELLING, frozenset(), (total - sum(inside.values())) / total) if outside else None
    best: Assessment | None = None
    for spelling in _spellings(counts, inside, options):
        read = {tag: spelt for tag in inside if (spelt := spelling.read(tag))}
        legal = total - sum(n for tag, n in inside.items() if tag not in read)
        labels = frozenset(spelt.partition("-")[2] for spelt in read.values())
        if read and (best is None or legal / total > best.share):
            best = Assessment(spelling, labels, legal / total)
    return best


def _spellings(counts: Mapping[str, int], inside: Mapping[str, int], options: ReadingOptions) -> Iterator[Spelling]:
    if options.format == "io":
        yield _BARE_SPELLING
        return
    yield from _PREFIXED
    if options.label:
        yield Spelling("B", partial(_typeless, options.label))
    # Only where O is the most frequent, and nothing looks like a prefix.
    if counts.get(OUTSIDE, 0) >= max(inside.values()) and all(_BARE.fullmatch(tag) for tag in inside):
        yield _BARE_SPELLING


def are_bare(tags: Collection[str]) -> bool:
    """RETURNS (bool): Whether no tag has a prefix."""
    return OUTSIDE in tags and len(tags) > 1 and all(tag == OUTSIDE or _BARE.fullmatch(tag) for tag in tags)


def is_typeless(counts: Mapping[str, int]) -> bool:
    """RETURNS (bool): Whether tags are prefixes without types: B, I and O."""
    return "B" in counts and OUTSIDE in counts and all(tag in _PREFIXES or tag == OUTSIDE for tag in counts)


def unknown_tag(where: str, tag: object) -> CorpusError:
    """Make the error for an unknown tag, which names the nearest format."""
    expected = "O or PREFIX-LABEL, with a prefix of B, I (IOB), B, I, L, U (BILUO) or B, I, E, S (IOBES)"
    return CorpusError(f"{where}: unknown tag {tag!r}, expected {expected}{_hint(tag)}")


def _hint(tag: object) -> str:
    if not isinstance(tag, str):
        return ""
    if tag in _PREFIXES:
        return "; tags that name no type are read with --label TYPE, such as --label Disease"
    if tag in ("_", "*", "o", "0"):
        return f"; if {tag} stands for what is outside of all entities, replace it by O"
    if len(tag) > 2 and tag[0].upper() in _PREFIXES and tag[1] in "-_:":
        return f"; all tags of a corpus are spelt alike, and prefixes are capitals: write {tag[0].upper()}-{tag[2:]}"
    if _BARE.fullmatch(tag):
        return "; if all tags are types without a prefix, --format io reads them"
    return ""
