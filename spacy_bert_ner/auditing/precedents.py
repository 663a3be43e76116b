"""Contradictions: how the same string is annotated elsewhere, most of all between the same words.

The model's posteriors are a prior, as strong as `strength` observations, and the other occurrences of the string are
the observations, each of a weight that its context decides: 1 where the words before and after are the same, 0.3 where
one of them is, and 0.03 elsewhere. So the probability of a reading r is (a Dirichlet prior's posterior mean)

    P(r) = (strength x posterior of r + weight of what is annotated like r) / (strength + weight of all)

and where a string occurs nowhere else, it is the model's posterior. The strength is the one under which the annotation
of the whole corpus is most probable (empirical Bayes): large where the model is good, small where it knows little.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from spacy_bert_ner.arrays import Floats
from spacy_bert_ner.tags import Entity

from .places import ReadPlace

STRENGTHS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
# Weight of an occurrence of which neither neighbour is the same, what each that is the same adds, and both together.
ELSEWHERE, NEIGHBOUR, SAME_CONTEXT = 0.03, 0.27, 0.43
# How an occurrence is annotated, where it is no entity of exactly its span: not at all, or otherwise.
OUTSIDE_ALL, OTHERWISE = "", "-"
# Annotation that is plainly wrong must not decide what strength is best.
_WRONG, _READINGS = 0.05, 4
_DIGITS = re.compile(r"\d+")
_EDGE = "\n"


@dataclass(frozen=True)
class AnnotatedWords:
    """A document as precedents see it.

    words (Sequence[str]): Its tokens.
    gold (Sequence[Entity]): Its annotated entities, in tokens.
    unknown (frozenset[int]): Tokens without annotation.
    """

    words: Sequence[str]
    gold: Sequence[Entity]
    unknown: frozenset[int] = frozenset()

    @cached_property
    def owner(self) -> dict[int, Entity]:
        """RETURNS (dict[int, Entity]): The annotated entity of every token that has one."""
        return {i: entity for entity in self.gold for i in range(entity.start, entity.end)}

    def annotation(self, start: int, end: int) -> str | None:
        """RETURNS (str | None): How tokens are annotated: a label, OUTSIDE_ALL, OTHERWISE; None where it is unknown."""
        if not self.unknown.isdisjoint(range(start, end)):
            return None
        owners = {self.owner.get(i) for i in range(start, end)}
        entity = owners.pop()
        if owners:
            return OTHERWISE
        if entity is None:
            return OUTSIDE_ALL
        return entity.label if entity[:2] == (start, end) else OTHERWISE


class Precedents(NamedTuple):
    """The other occurrences of a place's string.

    suggested, annotated, total (float): Weight of those that are annotated like the suggested reading, like the
        annotated one, and of all that can be compared.
    like_suggested, like_annotated, number (int): The same, counted.
    """

    suggested: float = 0.0
    annotated: float = 0.0
    total: float = 0.0
    like_suggested: int = 0
    like_annotated: int = 0
    number: int = 0


@dataclass
class _Occurrences:
    """How a string's occurrences are annotated, by their context."""

    everywhere: Counter[str] = field(default_factory=Counter)
    after: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    before: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    between: defaultdict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, context: tuple[str, str], reading: str) -> None:
        self.everywhere[reading] += 1
        self.after[context[0]][reading] += 1
        self.before[context[1]][reading] += 1
        self.between[context][reading] += 1

    def weigh(self, context: tuple[str, str], reading: str) -> float:
        """RETURNS (float): The weight of all occurrences with an annotation, for a place between two words."""
        neighbours = self.after[context[0]][reading] + self.before[context[1]][reading]
        both = self.between[context][reading]
        return ELSEWHERE * self.everywhere[reading] + NEIGHBOUR * neighbours + SAME_CONTEXT * both


def find_precedents(places: Sequence[ReadPlace], documents: Sequence[AnnotatedWords]) -> list[Precedents]:
    """Look up how the strings of places are annotated in their other occurrences.

    places (Sequence[ReadPlace]): The places.
    documents (Sequence[AnnotatedWords]): All documents of the corpus.
    RETURNS (list[Precedents]): Of each place.
    """
    pivots = [_pivot(place) for place in places]
    wanted = {_string(documents[place.document], pivot) for place, pivot in zip(places, pivots, strict=True)}
    found = _collect(documents, wanted)
    return [
        _look_up(place, pivot, documents[place.document], found) for place, pivot in zip(places, pivots, strict=True)
    ]


def _pivot(place: ReadPlace) -> Entity:
    """RETURNS (Entity): The span whose other occurrences tell: the suggested one, or the annotated where none is."""
    return (place.suggested or place.annotated)[0]


def _look_up(
    place: ReadPlace, pivot: Entity, document: AnnotatedWords, found: dict[tuple[str, ...], _Occurrences]
) -> Precedents:
    occurrences = found[_string(document, pivot)]
    context = _context(document, pivot)
    suggested = pivot.label if place.suggested else OUTSIDE_ALL
    annotated = document.annotation(pivot.start, pivot.end)
    # Where only the type is in question, occurrences within other entities do not bear on it.
    compared = [name for name in occurrences.everywhere if name != OTHERWISE or annotated == OTHERWISE]
    weights = {name: occurrences.weigh(context, name) for name in compared}
    counts = {name: occurrences.everywhere[name] for name in compared}
    if annotated is not None and annotated in weights:
        # Itself.
        weights[annotated] -= ELSEWHERE + 2 * NEIGHBOUR + SAME_CONTEXT
        counts[annotated] -= 1
    here = OTHERWISE if annotated is None else annotated
    return Precedents(
        max(0.0, weights.get(suggested, 0.0)),
        max(0.0, weights.get(here, 0.0)),
        max(0.0, sum(weights.values())),
        counts.get(suggested, 0),
        counts.get(here, 0),
        sum(counts.values()),
    )


def _collect(documents: Sequence[AnnotatedWords], wanted: set[tuple[str, ...]]) -> dict[tuple[str, ...], _Occurrences]:
    """Find all occurrences of strings."""
    found: dict[tuple[str, ...], _Occurrences] = {string: _Occurrences() for string in wanted}
    lengths = sorted({len(string) for string in wanted})
    for document in documents:
        words = tuple(document.words)
        for start, end in _runs(len(words), lengths):
            occurrences = found.get(words[start:end])
            reading = document.annotation(start, end) if occurrences is not None else None
            if occurrences is not None and reading is not None:
                occurrences.add(_context(document, Entity(start, end, "")), reading)
    return found


def _runs(size: int, lengths: Iterable[int]) -> Iterator[tuple[int, int]]:
    """YIELDS (tuple[int, int]): First token and end of every run of tokens of these lengths."""
    for length in lengths:
        for start in range(size - length + 1):
            yield start, start + length


def _string(document: AnnotatedWords, span: Entity) -> tuple[str, ...]:
    return tuple(document.words[span.start : span.end])


def _context(document: AnnotatedWords, span: Entity) -> tuple[str, str]:
    """RETURNS (tuple[str, str]): The words before and after, without case, all numbers alike."""
    words = document.words
    before = words[span.start - 1] if span.start else _EDGE
    after = words[span.end] if span.end < len(words) else _EDGE
    return _alike(before), _alike(after)


def _alike(word: str) -> str:
    return _DIGITS.sub("0", word.lower())


def choose_strength(places: Sequence[ReadPlace], precedents: Sequence[Precedents]) -> float:
    """Find the strength of the model's posteriors under which the annotation is most probable.

    places (Sequence[ReadPlace]): All places, doubtful or not.
    precedents (Sequence[Precedents]): Of each.
    RETURNS (float): One of STRENGTHS, the largest one where there is nothing to learn from.
    """
    posterior = np.array([place.annotated_posterior for place in places])
    weight = np.array([(each.annotated, each.total) for each in precedents]).reshape(-1, 2)
    best, most = STRENGTHS[-1], -np.inf
    for strength in reversed(STRENGTHS):
        likelihood = (strength * posterior + weight[:, 0]) / (strength + weight[:, 1])
        mean = float(np.log((1 - _WRONG) * likelihood + _WRONG / _READINGS).mean()) if len(places) else -np.inf
        if mean > most:
            best, most = strength, mean
    return best


def combine(places: Sequence[ReadPlace], precedents: Sequence[Precedents], strength: float) -> Floats:
    """Compute the probability of each suggested reading, by model and precedents. RETURNS (Floats): (places,)."""
    posterior = np.array([place.suggested_posterior for place in places], dtype=np.float64)
    weight = np.array([(each.suggested, each.total) for each in precedents], dtype=np.float64).reshape(-1, 2)
    combined: Floats = (strength * posterior + weight[:, 0]) / (strength + weight[:, 1])
    return combined
