"""What a pipeline found in a text, as plain data that outlives the pipeline's memory zone."""

from collections.abc import Iterator
from typing import NamedTuple

from spacy.tokens import Doc, SpanGroup


class RunnerUp(NamedTuple):
    """The best other label for an entity's span, and its probability."""

    label: str
    confidence: float


class Word(NamedTuple):
    """A token: its number in the text, from 0, and its characters."""

    number: int
    start: int
    end: int


class FoundEntity(NamedTuple):
    """An entity.

    start, end (int): In characters of the text.
    confidence (float | None): Probability of exactly this span and label; None where the pipeline gives none.
    """

    start: int
    end: int
    label: str
    confidence: float | None
    runner_up: RunnerUp | None
    words: tuple[Word, ...]


class Answer(NamedTuple):
    """What was found in one text: its entities in the order of the text, and how many tokens it has."""

    entities: list[FoundEntity]
    words: int


class Failure(NamedTuple):
    """A text on which the pipeline failed, with a message that quotes nothing of the text."""

    error: str


def read_answer(doc: Doc) -> Answer:
    """Copy a document's entities into plain data, within its memory zone."""
    known = {key: scores for group in doc.spans.values() for key, scores in _scored(group)}
    entities = []
    for ent in doc.ents:
        key = (ent.start_char, ent.end_char, ent.label_)
        words = tuple(Word(token.i, token.idx, token.idx + len(token)) for token in ent)
        confidence, runner_up = known.get(key, (None, None))
        entities.append(FoundEntity(*key, confidence, runner_up, words))
    return Answer(entities, len(doc))


def _scored(group: SpanGroup) -> Iterator[tuple[tuple[int, int, str], tuple[float, RunnerUp | None]]]:
    """YIELDS: Characters and label of each span of a group with scores, its score and, where known, its runner-up."""
    scores = group.attrs.get("scores")
    if scores is None or len(scores) != len(group):
        return
    labels = group.attrs.get("runner_up", [])
    others = group.attrs.get("runner_up_scores", [])
    for i, span in enumerate(group):
        runner_up = (
            RunnerUp(labels[i], _rounded(others[i])) if i < min(len(labels), len(others)) and labels[i] else None
        )
        yield (span.start_char, span.end_char, span.label_), (_rounded(scores[i]), runner_up)


def _rounded(probability: float) -> float:
    """Keep the digits that single precision has."""
    return round(float(probability), 6)
