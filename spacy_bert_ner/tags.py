"""Tag schemes as data: the tags of a scheme, which may follow which, and tags <-> entities.

One tag per token, `O` outside every entity:

    token   Peter  Blackburn  visited  New    York   ,  Paris
    BIO     B-PER  I-PER      O        B-LOC  I-LOC  O  B-LOC     (also called IOB2)
    BILUO   B-PER  L-PER      O        B-LOC  L-LOC  O  U-LOC
    IOBES   B-PER  E-PER      O        B-LOC  E-LOC  O  S-LOC     (also called BIOES; BILUO by other letters)

BIO is CoNLL's (Tjong Kim Sang & De Meulder 2003); BILUO is Ratinov & Roth's (2009).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

OUTSIDE = "O"
# Prefixes, of any scheme, that always begin an entity, and that always end one.
_BEGINNING = frozenset("BUS")
_ENDING = frozenset("LEUS")


class Entity(NamedTuple):
    """A labelled run of tokens.

    start (int): Index of the first token.
    end (int): Index after the last token.
    label (str): The entity's type.
    """

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class TagScheme:
    """The rules of one tag scheme, all of which follow from how it spells an entity.

    name (str): "BIO", "BILUO" or "IOBES".
    prefixes (tuple[str, ...]): What may stand before `-LABEL`, in the order of the tags.
    single (str): Prefix of an entity's only token.
    first, inside, last (str): Prefixes of the first token, those between, and the last of a longer entity.
    """

    name: str
    prefixes: tuple[str, ...]
    single: str
    first: str
    inside: str
    last: str

    def tags(self, labels: Iterable[str]) -> list[str]:
        """List the scheme's tags, `O` first, then each label's in the order given.

        labels (Iterable[str]): Entity types.
        RETURNS (list[str]): 1 + len(prefixes) * len(labels) tags.
        """
        return [OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in self.prefixes)]

    def starts(self, labels: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Say which tags may stand on the first token. RETURNS: (tags,), bool."""
        return np.array([self._opens(tag) or tag == OUTSIDE for tag in self.tags(labels)])

    def ends(self, labels: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Say which tags may stand on the last token. RETURNS: (tags,), bool."""
        return np.array([self.may_end(tag) for tag in self.tags(labels)])

    def transitions(self, labels: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Say which tag may follow which. RETURNS: (tags before, tags after), bool."""
        tags = self.tags(labels)
        return np.array([[self.may_follow(before, after) for after in tags] for before in tags])

    def may_follow(self, before: str, after: str) -> bool:
        """Say whether one tag may follow another."""
        if after == OUTSIDE or self._opens(after):
            return self.may_end(before)
        return self.is_open(before) and _label(before) == _label(after)

    def may_end(self, tag: str) -> bool:
        """Say whether a tag may be a sequence's last."""
        return _prefix(tag) in (OUTSIDE, self.single, self.last)

    def is_open(self, tag: str) -> bool:
        """Say whether an entity may go on after a tag."""
        return _prefix(tag) in (self.first, self.inside)

    def _opens(self, tag: str) -> bool:
        return _prefix(tag) in (self.single, self.first)

    def encode(self, entities: Iterable[Entity], length: int) -> list[str]:
        """Write entities as tags.

        entities (Iterable[Entity]): Entities that do not overlap, in any order.
        length (int): Number of tokens.
        RETURNS (list[str]): One tag per token.
        RAISES: ValueError where an entity is empty, leaves the text or overlaps another.
        """
        tags = [OUTSIDE] * length
        for entity in entities:
            start, end, label = entity
            if not 0 <= start < end <= length:
                raise ValueError(f"{entity} does not lie within {length} tokens")
            if any(tag != OUTSIDE for tag in tags[start:end]):
                raise ValueError(f"{entity} overlaps another entity")
            tags[start:end] = [f"{prefix}-{label}" for prefix in self._spell(end - start)]
        return tags

    def _spell(self, length: int) -> list[str]:
        if length == 1:
            return [self.single]
        return [self.first, *[self.inside] * (length - 2), self.last]


def read_entities(tags: Iterable[str]) -> list[Entity]:
    """Read the entities off any sequence of tags, legal or not, by conlleval's rules.

    Serves IOB1, IOB2/BIO, BILUO and IOBES/BIOES alike: an entity begins at B, U or S, and at any
    other tag that stands after `O`, after another type or after an entity's end (L, E, U, S).

    tags (Iterable[str]): One tag per token, as `O` or `PREFIX-LABEL`.
    RETURNS (list[Entity]): The entities, in the order of the text.
    Source: the conlleval script of the CoNLL-2000 shared task.
    """
    entities: list[Entity] = []
    open_at: int | None = None
    open_label = ""
    end = 0
    for i, tag in enumerate(tags):
        prefix, label = _prefix(tag), _label(tag)
        begins = prefix != OUTSIDE and (prefix in _BEGINNING or open_at is None or label != open_label)
        if open_at is not None and (begins or prefix == OUTSIDE):
            entities.append(Entity(open_at, i, open_label))
            open_at = None
        if begins:
            open_at, open_label = i, label
        if open_at is not None and prefix in _ENDING:
            entities.append(Entity(open_at, i + 1, open_label))
            open_at = None
        end = i + 1
    if open_at is not None:
        entities.append(Entity(open_at, end, open_label))
    return entities


def get_scheme(name: str) -> TagScheme:
    """Look a scheme up by its name. RAISES: ValueError that lists the names there are."""
    if name not in SCHEMES:
        raise ValueError(f"Unknown tag scheme {name!r}: expected one of {', '.join(sorted(SCHEMES))}")
    return SCHEMES[name]


def _prefix(tag: str) -> str:
    return tag.partition("-")[0]


def _label(tag: str) -> str:
    return tag.partition("-")[2]


SCHEMES: Mapping[str, TagScheme] = MappingProxyType(
    {
        "BIO": TagScheme("BIO", prefixes=("B", "I"), single="B", first="B", inside="I", last="I"),
        "BILUO": TagScheme("BILUO", prefixes=("B", "I", "L", "U"), single="U", first="B", inside="I", last="L"),
        "IOBES": TagScheme("IOBES", prefixes=("B", "I", "E", "S"), single="S", first="B", inside="I", last="E"),
    }
)
