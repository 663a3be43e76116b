"""What evaluation knows of a document: plain data, so that documents and their tensors need not be kept."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from spacy.tokens import Doc, Span, SpanGroup

from spacy_bert_ner.ner.annotations import MISSING, look_up
from spacy_bert_ner.rawtext.changed_text import locate_in
from spacy_bert_ner.rawtext.spaces import join_words, known_or_usual_spaces, to_characters
from spacy_bert_ner.tags import Entity

from .retokenized import cut_finer


class Place(NamedTuple):
    """First character, character after the last, and label."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Judged:
    """The entities of one document, gold beside predicted. Offsets count tokens, or the characters of a raw text.

    gold (list[Entity]): Gold entities, in the order of the text.
    found (list[Entity]): Predicted entities, in the order of the text.
    ignored (list[Entity]): Predictions that touch text without gold annotation: neither right nor wrong, as in
        spaCy's scorer.
    scores (dict[Entity, float]): Scores of predicted entities, in [0, 1], where the pipeline gives them.
    blank (frozenset[int]): Offsets of white space within gold entities, in characters; empty where they count tokens.
    """

    gold: list[Entity]
    found: list[Entity]
    ignored: list[Entity] = field(default_factory=list)
    scores: dict[Entity, float] = field(default_factory=dict)
    blank: frozenset[int] = frozenset()


@dataclass(frozen=True)
class TokenRecord(Judged):
    """One document on gold tokens.

    words (list[str]): Its tokens.
    spaces (list[bool]): Whether a space follows each.
    sentences (list[int] | None): The first token of each gold sentence; None where the corpus has none.
    """

    words: list[str] = field(default_factory=list)
    spaces: list[bool] = field(default_factory=list)
    sentences: list[int] | None = None

    @cached_property
    def sentence_of(self) -> list[tuple[int, int]] | None:
        """RETURNS (list[tuple[int, int]] | None): The sentence that each token is in, as first token and end."""
        if self.sentences is None:
            return None
        ends = [*self.sentences[1:], len(self.words)]
        return [pair for pair in zip(self.sentences, ends, strict=True) for _ in range(*pair)]

    @cached_property
    def folded(self) -> list[str]:
        """RETURNS (list[str]): The tokens without case."""
        return [word.casefold() for word in self.words]

    def text(self, entity: Entity) -> str:
        """RETURNS (str): An entity's tokens, joined by spaces."""
        return " ".join(self.words[entity.start : entity.end])


@dataclass(frozen=True)
class RawRecord(Judged):
    """One document as raw text; offsets count characters.

    cut_otherwise (frozenset[Entity]): Gold entities that the pipeline's tokenizer cuts into other tokens than the
        corpus does, so that training on gold tokens has not prepared it for them.
    unreachable (int): How many of those begin or end within a token, so that no prediction can be right.
    """

    cut_otherwise: frozenset[Entity] = frozenset()
    unreachable: int = 0


def make_record(reference: Doc, predicted: Doc, spans_key: str | None, rename: Mapping[str, str]) -> TokenRecord:
    """Extract what evaluation needs.

    reference (Doc): The gold document.
    predicted (Doc): The same text with predicted entities, on the same tokens or on what a component of the pipeline
        has made of them by merging and splitting.
    spans_key (str | None): The SpanGroup with scores; None for any that has them.
    rename (Mapping[str, str]): Predicted labels to other labels.
    RETURNS (TokenRecord): The document's record.
    """
    spaces = known_or_usual_spaces(reference)
    if len(predicted) != len(reference) or not np.array_equal(predicted.to_array("ORTH"), reference.to_array("ORTH")):
        reference, owners = cut_finer(reference, predicted)
        spaces = [spaces[owner] and owner != after for owner, after in pairwise([*owners, -1])]
    starts = {token.idx: token.i for token in reference}
    ends = {token.idx + len(token): token.i + 1 for token in reference}
    found = {
        Entity(starts[ent.start_char], ends[ent.end_char], rename.get(ent.label_, ent.label_)): place_of(ent)
        for ent in predicted.ents
    }
    ignored = [ent for ent in found if any(token.ent_iob == MISSING for token in reference[ent.start : ent.end])]
    has_sentences = reference.has_annotation("SENT_START")
    scores = _scores(predicted, spans_key)
    return TokenRecord(
        gold=token_entities(reference),
        found=[ent for ent in found if ent not in ignored],
        ignored=ignored,
        words=[token.text for token in reference],
        spaces=spaces,
        sentences=[sent.start for sent in reference.sents] if has_sentences else None,
        scores={ent: scores[key] for ent, key in found.items() if key in scores},
    )


def judge_raw_text(
    reference: Doc,
    predicted: Doc,
    tokens: Collection[tuple[int, int]],
    spans_key: str | None,
    rename: Mapping[str, str],
) -> RawRecord:
    """Compare entities by the characters of the raw text, exactly: no gold token helps.

    reference (Doc): The gold document.
    predicted (Doc): `raw_text(reference)` with predicted entities.
    tokens (Collection[tuple[int, int]]): First character of, and character after, each token that the pipeline's
        tokenizer has made of it: components may have merged or split them since.
    spans_key (str | None): The SpanGroup with scores; None for any that has them.
    rename (Mapping[str, str]): Predicted labels to other labels.
    RETURNS (RawRecord): Gold and predicted entities, in characters.
    """
    words = [token.text for token in reference]
    text, starts = join_words(words, known_or_usual_spaces(reference))
    locate = locate_in(text, predicted.text)
    gold = to_characters(token_entities(reference), words, starts)
    found = {
        Entity(*locate(ent.start_char, ent.end_char), rename.get(ent.label_, ent.label_)): place_of(ent)
        for ent in predicted.ents
    }
    unknown = [(starts[token.i], starts[token.i] + len(token)) for token in reference if token.ent_iob == MISSING]
    ignored = [ent for ent in found if any(ent.start < end and start < ent.end for start, end in unknown)]
    own = {locate(*token) for token in tokens}
    begins, ends = {start for start, _ in own}, {end for _, end in own}
    cut_otherwise = frozenset(
        entity
        for entity, span in zip(gold, reference.ents, strict=True)
        if not all((starts[token.i], starts[token.i] + len(token)) in own for token in span)
    )
    scores = _scores(predicted, spans_key)
    return RawRecord(
        gold=gold,
        found=[ent for ent in found if ent not in ignored],
        ignored=ignored,
        scores={ent: scores[key] for ent, key in found.items() if key in scores},
        blank=frozenset(i for ent in gold for i in range(ent.start, ent.end) if text[i].isspace()),
        cut_otherwise=cut_otherwise,
        unreachable=sum(ent.start not in begins or ent.end not in ends for ent in gold),
    )


def token_entities(doc: Doc) -> list[Entity]:
    """RETURNS (list[Entity]): doc.ents, in tokens."""
    return [Entity(ent.start, ent.end, ent.label_) for ent in doc.ents]


def place_of(span: Span) -> Place:
    """RETURNS (Place): What a score is of."""
    return Place(span.start_char, span.end_char, span.label_)


def _scores(doc: Doc, spans_key: str | None) -> dict[Place, float]:
    """Look up the scores of entities."""
    scores: dict[Place, float] = {}
    for key, group in doc.spans.items():
        if spans_key is None or key == spans_key:
            scores |= _of_entities(doc, group) or _of_spans(group)
    return scores


def _of_entities(doc: Doc, group: SpanGroup) -> dict[Place, float]:
    """Look up the scores of doc.ents as bert_ner writes them."""
    found = ((ent, look_up(group.attrs, ent)) for ent in doc.ents)
    return {place_of(ent): score for ent, score in found if score is not None}


def _of_spans(group: SpanGroup) -> dict[Place, float]:
    """Look up scores as spancat writes them: `attrs["scores"]`, parallel to the spans of a group."""
    values = group.attrs.get("scores", ())
    scores: dict[Place, float] = {}
    for i in range(len(group) if len(values) == len(group) else 0):
        # Where tokens were merged, a span may be of some beyond the end: its characters cannot be read any more.
        with suppress(IndexError):
            scores[place_of(group[i])] = float(values[i])
    return scores
