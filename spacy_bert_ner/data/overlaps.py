"""Entities that one tag a token cannot express: nested, overlapping and discontinuous ones."""

from collections.abc import Iterable
from dataclasses import dataclass

from spacy_bert_ner.tags import Entity

from .documents import Sentence
from .notes import Notes

DISCONTINUOUS = "{n} entities are discontinuous, so that their tokens count as unannotated:"
OVERLAPPING = "{n} entities overlap with others, so that the tokens of all of them count as unannotated:"
REPEATED = "{n} entities were given more than once, and kept once"


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """An entity as a file has it.

    tokens (tuple[int, ...]): Indices in the sentence, sorted; at least one.
    where (str): Its place.
    is_listed (bool): Whether its reader has already listed it as inexpressible.
    """

    tokens: tuple[int, ...]
    label: str
    where: str
    is_listed: bool = False

    @property
    def is_discontinuous(self) -> bool:
        """Whether it lacks a token between its first and last."""
        return self.tokens[-1] - self.tokens[0] >= len(self.tokens)


def flatten(tokens: tuple[str, ...], spans: Iterable[TokenSpan], notes: Notes) -> Sentence:
    """Make a sentence of spans: overlapping and discontinuous ones are listed, and their tokens unannotated.

    spans (Iterable[TokenSpan]): Entities, in any order.
    notes (Notes): Receives those that cannot be expressed.
    """
    spans = list(spans)
    unique = list({(span.tokens, span.label): span for span in spans}.values())
    notes.count(REPEATED, len(spans) - len(unique))
    times = [0] * len(tokens)
    for span in unique:
        for i in span.tokens:
            times[i] += 1
    bad = [s for s in unique if s.is_listed or s.is_discontinuous or any(times[i] > 1 for i in s.tokens)]
    for span in bad:
        if span.is_listed:
            continue
        quoted = " ".join(tokens[i] for i in span.tokens)
        notes.place(DISCONTINUOUS if span.is_discontinuous else OVERLAPPING, f"{span.where}: {quoted!r} ({span.label})")
    entities = sorted(Entity(s.tokens[0], s.tokens[-1] + 1, s.label) for s in unique if s not in bad)
    return Sentence(tokens, tuple(entities), tuple(sorted({i for span in bad for i in span.tokens})))
