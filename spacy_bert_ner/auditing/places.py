"""The places of a document where annotation and model may differ, each with two readings: annotated and suggested.

A place is a run of tokens that entities of the annotation and likely other ones cover together:

    words       officials of  the  Bank    of  England
    annotated                      ORG         LOC         two entities and
    suggested                      └───── ORG ─────┘       one other: one place, not three

Where the suggested reading does not hold the other one, each of the two is a place: that one is wrong says nothing of
the other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from spacy_bert_ner.tags import Entity

# Of the annotation, as its reader sees it.
DOUBT_KINDS = {
    "missing": "Missing",
    "spurious": "Spurious",
    "boundary": "Wrong boundary",
    "type": "Wrong type",
    "both": "Wrong boundary and type",
}
# Spans of a lower posterior are no readings: they would chain places together.
LEAST_POSTERIOR = 0.01
# Above this, spans that do not overlap are suggested together.
_LIKELY = 0.5


@dataclass(frozen=True)
class SpanPosteriors:
    """What a model that was not trained on a document says of its spans.

    gold (tuple[Entity, ...]): The annotated entities that it can judge, in the order of the text.
    posterior (Mapping[Entity, float]): The calibrated posterior of each of them, and of every other span that is likely
        enough and does not touch text without annotation, unless it overlaps an annotated entity.
    unjudged (tuple[Entity, ...]): Annotated entities of types that the model does not know.
    """

    gold: tuple[Entity, ...]
    posterior: Mapping[Entity, float]
    unjudged: tuple[Entity, ...] = ()


@dataclass(frozen=True)
class ReadPlace:
    """A place with its two readings.

    document (int): Index of the document.
    kind (str): What would be wrong, of DOUBT_KINDS, were the suggested reading right.
    annotated, suggested (tuple[Entity, ...]): The entities of either reading; none where it says that there is none.
    annotated_posterior, suggested_posterior (float): Of the least likely entity of either reading, or that there is
        none.
    """

    document: int
    kind: str
    annotated: tuple[Entity, ...]
    suggested: tuple[Entity, ...]
    annotated_posterior: float
    suggested_posterior: float

    @property
    def start(self) -> int:
        """RETURNS (int): The first token of both readings."""
        return min(entity.start for entity in (*self.annotated, *self.suggested))

    @property
    def end(self) -> int:
        """RETURNS (int): The token after both."""
        return max(entity.end for entity in (*self.annotated, *self.suggested))


def find_places(document: int, spans: SpanPosteriors) -> list[ReadPlace]:
    """Divide a document into places, each with the most probable other reading.

    document (int): Its index.
    spans (SpanPosteriors): What a model says of it.
    RETURNS (list[ReadPlace]): One for every annotated entity, or several that suggested other spans connect, and one
        for every likely span beside them; in the order of the text.
    """
    others = _choose_others(spans)
    members = sorted([*((entity, True) for entity in spans.gold), *((entity, False) for entity in others)])
    return [place for group in _connected(members) for place in _divide(document, group, spans.posterior)]


def _divide(
    document: int, group: Sequence[tuple[Entity, bool]], posterior: Mapping[Entity, float]
) -> Iterator[ReadPlace]:
    """Read a group of entities as one place, or as several where the reading would drop what it says nothing of."""
    place = _read(document, group, posterior)
    contradicted = [entity for entity in place.annotated if any(overlap(entity, other) for other in place.suggested)]
    if len(place.annotated) < 2 or len(contradicted) == len(place.annotated):
        yield place
        return
    left = [(entity, is_gold) for entity, is_gold in group if is_gold or entity in place.suggested]
    yield from (_read(document, part, posterior) for part in _connected(left))


def _choose_others(spans: SpanPosteriors) -> list[Entity]:
    """Take spans that are not annotated, the most probable first, unless they overlap what was taken before."""
    gold, chosen = set(spans.gold), _Taken(spans.unjudged)
    ranked = sorted((-posterior, entity) for entity, posterior in spans.posterior.items() if entity not in gold)
    return [entity for _, entity in ranked if chosen.take(entity)]


class _Taken:
    """Tokens that are spoken for. entities: Those that are from the start."""

    def __init__(self, entities: Iterable[Entity]) -> None:
        self.tokens = {i for entity in entities for i in range(entity.start, entity.end)}

    def take(self, entity: Entity) -> bool:
        """Take an entity's tokens. RETURNS (bool): Whether all of them were free."""
        own = range(entity.start, entity.end)
        if not self.tokens.isdisjoint(own):
            return False
        self.tokens.update(own)
        return True


def _connected(members: Sequence[tuple[Entity, bool]]) -> Iterator[list[tuple[Entity, bool]]]:
    """Group entities, sorted, that overlap directly or by others. YIELDS: Each group."""
    group: list[tuple[Entity, bool]] = []
    end = 0
    for member in members:
        if group and member[0].start >= end:
            yield group
            group, end = [], 0
        group.append(member)
        end = max(end, member[0].end)
    if group:
        yield group


def _read(document: int, group: Sequence[tuple[Entity, bool]], posterior: Mapping[Entity, float]) -> ReadPlace:
    """Choose the other reading of a place: entities that are likely together, the likeliest one, or none at all."""
    gold = tuple(entity for entity, is_gold in group if is_gold)
    others = sorted((entity for entity, is_gold in group if not is_gold), key=lambda entity: -posterior[entity])
    suggested = tuple(sorted([entity for entity in others if posterior[entity] > _LIKELY] or others[:1]))
    likelihood = min((posterior[entity] for entity in suggested), default=0.0)
    if not gold:
        return ReadPlace(document, "missing", (), suggested, max(0.0, 1.0 - likelihood), likelihood)
    annotated = min(posterior[entity] for entity in gold)
    least = min(gold, key=lambda entity: posterior[entity])
    nothing = max(0.0, 1.0 - sum(p for entity, p in posterior.items() if overlap(entity, least)))
    if nothing >= likelihood:
        return ReadPlace(document, "spurious", gold, (), annotated, nothing)
    return ReadPlace(document, name_difference(gold, suggested), gold, suggested, annotated, likelihood)


def overlap(left: Entity, right: Entity) -> bool:
    """RETURNS (bool): Whether two entities share a token."""
    return left.start < right.end and right.start < left.end


def name_difference(annotated: Sequence[Entity], suggested: Sequence[Entity]) -> str:
    """RETURNS (str): Of DOUBT_KINDS, what is wrong with one reading, neither of them empty, if the other is right."""
    if [entity[:2] for entity in annotated] == [entity[:2] for entity in suggested]:
        return "type"
    same_types = {entity.label for entity in annotated} == {entity.label for entity in suggested}
    return "boundary" if same_types else "both"
