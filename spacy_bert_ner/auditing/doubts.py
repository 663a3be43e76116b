"""The ranking: where annotation is probably wrong, the most probable first, and why, in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from spacy.tokens import Doc

from spacy_bert_ner.ner.annotations import MISSING
from spacy_bert_ner.tags import Entity

from .places import ReadPlace, SpanPosteriors, find_places
from .precedents import AnnotatedWords, Precedents, choose_strength, combine, find_precedents


@dataclass(frozen=True)
class Doubt:
    """A place where the annotation may be wrong.

    place (ReadPlace): The place, with both readings.
    probability (float): Of the suggested reading, by the model and by the other occurrences of the same string.
    precedents (Precedents): Those.
    """

    place: ReadPlace
    probability: float
    precedents: Precedents


@dataclass(frozen=True)
class Ranking:
    """All places of a corpus.

    doubts (list[Doubt]): The most probable errors first.
    strength (float): As how many observations of an equal string in an equal context the model's posterior counts.
    unjudged (int): Annotated entities of types that no model knew that could have judged them.
    """

    doubts: list[Doubt]
    strength: float
    unjudged: int


def rank_doubts(docs: Sequence[Doc], judged: Sequence[SpanPosteriors]) -> Ranking:
    """Rank the places of a corpus by the probability that another reading than the annotated one is right.

    docs (Sequence[Doc]): The annotated documents.
    judged (Sequence[SpanPosteriors]): What models say of each that were not trained on it.
    RETURNS (Ranking): All of its places.
    """
    places = [place for i, spans in enumerate(judged) for place in find_places(i, spans)]
    precedents = find_precedents(places, [_annotated_words(doc) for doc in docs])
    strength = choose_strength(places, precedents)
    probability = combine(places, precedents, strength).tolist()
    doubts = [Doubt(*each) for each in zip(places, probability, precedents, strict=True)]
    # Where several are as probable, the annotation that the model finds less probable comes first.
    doubts.sort(
        key=lambda each: (-each.probability, each.place.annotated_posterior, each.place.document, each.place.start)
    )
    return Ranking(doubts, strength, sum(len(spans.unjudged) for spans in judged))


def _annotated_words(doc: Doc) -> AnnotatedWords:
    return AnnotatedWords(
        [token.text for token in doc],
        [Entity(ent.start, ent.end, ent.label_) for ent in doc.ents],
        frozenset(token.i for token in doc if token.ent_iob == MISSING),
    )


def explain(doubt: Doubt, words: Sequence[str]) -> str:
    """Give the reason for a doubt.

    doubt (Doubt): The doubt.
    words (Sequence[str]): The tokens of its document.
    RETURNS (str): A few sentences.
    """
    place = doubt.place
    annotated, suggested = (_spell(reading, words) for reading in (place.annotated, place.suggested))
    likely, unlikely = (_spell_share(each) for each in (place.suggested_posterior, place.annotated_posterior))
    reason = f"Annotated: {annotated}. The model reads {suggested} ({likely}; what is annotated {unlikely})."
    number = doubt.precedents.number
    if not number:
        return reason
    string = " ".join(words[slice(*(place.suggested or place.annotated)[0][:2])])
    counts = [(doubt.precedents.like_suggested, "as suggested"), (doubt.precedents.like_annotated, "as it is here")]
    if number == 1:
        how = next((name for count, name in counts if count), "otherwise")
        return f"{reason} {string!r} occurs once more, annotated {how}."
    listed = " and ".join(f"{count:,} {name}" for count, name in counts)
    return f"{reason} Of {number:,} other occurrences of {string!r}, {listed}."


def _spell(reading: Sequence[Entity], words: Sequence[str]) -> str:
    """RETURNS (str): Entities in words."""
    named = [f"{' '.join(words[start:end])!r} as {label}" for start, end, label in reading]
    return " and ".join(named) or "no entity"


def _spell_share(probability: float) -> str:
    if probability < 0.001:
        return "below 0.001"
    return "above 0.999" if probability > 0.999 else f"{probability:.3f}"


def count_by_kind(doubts: Sequence[Doubt]) -> dict[str, int]:
    """RETURNS (dict[str, int]): How many doubts there are of each kind that occurs, most frequent first."""
    return dict(Counter(doubt.place.kind for doubt in doubts).most_common())
