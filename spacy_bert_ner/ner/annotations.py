"""How entities and their confidences are written to a Doc, and read back."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from spacy.tokens import Doc, Span, SpanGroup

from spacy_bert_ner.tags import Entity

# Values of token.ent_iob that spaCy gives no names to: no annotation, and "never an entity" (Doc.set_ents's `blocked`).
MISSING, BLOCKED = 0, 3

EXTENSION = "confidence"
# Keys of a group's attrs that say which characters and label each of its confidences is about.
PLACE_KEYS = ("start_char", "end_char", "label")


@dataclass(frozen=True)
class DocEntities:
    """The entities found in one document.

    entities (list[Entity]): In the order of the text, by their first tokens.
    scores (ndarray): Confidence: the calibrated probability of exactly that span and label. (entities,)
    any_label (ndarray): Probability that exactly that span is an entity, whatever its label. (entities,)
    runner_up (list[str]): The best other label for that span, "" where there is none. (entities,)
    runner_up_scores (ndarray): Its probability. (entities,)
    pieces (list[Entity] | None): Where entities may overlap, what doc.ents gets: see `cut_overlaps`.
    """

    entities: list[Entity]
    scores: npt.NDArray[np.float32]
    any_label: npt.NDArray[np.float32]
    runner_up: list[str]
    runner_up_scores: npt.NDArray[np.float32]
    pieces: list[Entity] | None = None

    @property
    def disjoint(self) -> list[Entity]:
        """RETURNS (list[Entity]): What doc.ents gets, in the order of the text, without overlaps."""
        return self.entities if self.pieces is None else self.pieces

    @classmethod
    def empty(cls) -> "DocEntities":
        """RETURNS (DocEntities): Of a document without entities."""
        none = np.zeros(0, dtype=np.float32)
        return cls([], none, none, [], none)


def set_entities(doc: Doc, entities: Sequence[Entity], *, overwrite: bool) -> None:
    """Write entities to doc.ents.

    doc (Doc): The document.
    entities (Sequence[Entity]): Its entities.
    overwrite (bool): Whether they replace the entities that are there. Otherwise those stay, and what overlaps
        them, or a token marked as never an entity, is left out.
    """
    if overwrite or not doc.has_annotation("ENT_IOB"):
        doc.set_ents([Span(doc, *entity) for entity in entities], default="outside")
        return
    taken = [token.ent_type != 0 or token.ent_iob == BLOCKED for token in doc]
    new = [Span(doc, *entity) for entity in entities if not any(taken[entity.start : entity.end])]
    covered = {i for span in new for i in range(span.start, span.end)}
    free = [i for i, token in enumerate(doc) if token.ent_iob == MISSING and not taken[i] and i not in covered]
    doc.set_ents(new, outside=[doc[i : i + 1] for i in free], default="unmodified")


class EntityGroup(SpanGroup):
    """Entities with their confidences, which stay with their characters when tokens are merged or split.

    spaCy's retokenizer leaves the token indices of a SpanGroup as they were: they would then be other tokens', or
    beyond the document's end, at which `Doc.to_bytes`, `DocBin.add` and `nlp.pipe(n_process=...)` fail (E035).
    """

    def __getitem__(self, i: int) -> Span:
        """RETURNS (Span): The i-th entity; where tokens were merged across its edge, all of the merged token."""
        try:
            span = super().__getitem__(i)
        except IndexError:
            # Beyond the group, or of a span that a user has added.
            if not -len(self) <= i < len(self) == len(self.attrs["label"]):
                raise
            return self._expanded(*(self.attrs[key][i] for key in PLACE_KEYS))
        if _is_in_place(span):
            return span
        return self._expanded(span.start_char, span.end_char, span.label_)

    def copy(self, doc: Doc | None = None) -> "EntityGroup":
        """RETURNS (EntityGroup): A copy, of another document with the same text where one is given."""
        plain = super().copy(doc)
        return EntityGroup(plain.doc, name=plain.name, attrs=plain.attrs, spans=list(plain))

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): The group as a SpanGroup's bytes, with the token indices of now."""
        return SpanGroup(self.doc, name=self.name, attrs=self.attrs, spans=list(self)).to_bytes()

    def _expanded(self, start: int, end: int, label: str) -> Span:
        span = self.doc.char_span(start, end, label=label, alignment_mode="expand")
        # Retokenization changes no text, so that there are tokens at these characters.
        assert span is not None
        return span


def _is_in_place(span: Span) -> bool:
    """Say whether the tokens of a span are those of its characters."""
    doc, last = span.doc, span.end - 1
    return (
        span.start < span.end
        and doc[span.start].idx == span.start_char
        and doc[last].idx + len(doc[last]) == span.end_char
    )


def set_spans(doc: Doc, prediction: DocEntities, key: str) -> None:
    """Write entities with their confidences to doc.spans, as spaCy's spancat does.

    doc (Doc): The document.
    prediction (DocEntities): Its entities.
    key (str): Key of the SpanGroup. Its attrs hold, parallel to its spans, "scores", "any_label", "runner_up" and
        "runner_up_scores" (see DocEntities), and "start_char", "end_char" and "label", by which confidences are looked
        up.
    """
    spans = [Span(doc, *entity) for entity in prediction.entities]
    group = EntityGroup(doc, name=key, spans=spans)
    group.attrs["scores"] = prediction.scores
    group.attrs["any_label"] = prediction.any_label
    group.attrs["runner_up"] = prediction.runner_up
    group.attrs["runner_up_scores"] = prediction.runner_up_scores
    group.attrs["start_char"] = [span.start_char for span in spans]
    group.attrs["end_char"] = [span.end_char for span in spans]
    group.attrs["label"] = [span.label_ for span in spans]
    doc.spans[key] = group


def get_confidence(span: Span) -> float | None:
    """Look a span's confidence up in the document's span groups: the getter of `span._.confidence`.

    span (Span): An entity.
    RETURNS (float | None): Probability of exactly these characters and this label; None where no component stored one.
    """
    for group in span.doc.spans.values():
        score = look_up(group.attrs, span)
        if score is not None:
            return score
    return None


def look_up(attrs: Mapping[str, Any], span: Span) -> float | None:
    """Find a span among a group's entities, in logarithmic time: they stand in the order of the text.

    attrs (Mapping[str, Any]): The group's attrs, from `set_spans` or not.
    span (Span): The span.
    RETURNS (float | None): Its score; None where the group has no such entity.
    """
    try:
        starts, ends, labels, scores = attrs["start_char"], attrs["end_char"], attrs["label"], attrs["scores"]
    except KeyError:
        return None
    # The user may have shortened one of them, so that they are no longer parallel.
    if not len(starts) == len(ends) == len(labels) == len(scores):
        return None
    place = span.start_char, span.end_char, span.label_
    for i in range(bisect_left(starts, place[0]), len(starts)):
        if starts[i] != place[0]:
            break
        if (starts[i], ends[i], labels[i]) == place:
            return float(scores[i])
    return None


def install_extension() -> None:
    """Define `span._.confidence`, unless the user has an extension of that name already."""
    if not Span.has_extension(EXTENSION):
        Span.set_extension(EXTENSION, getter=get_confidence)


def trim_whitespace(doc: Doc, entity: Entity) -> Entity:
    """Take whitespace tokens off both ends of an entity; spaCy's users expect none there.

    doc (Doc): The document.
    entity (Entity): The entity.
    RETURNS (Entity): The entity without them; empty where it was all whitespace.
    """
    start, end, label = entity
    while start < end and doc[start].is_space:
        start += 1
    while start < end and doc[end - 1].is_space:
        end -= 1
    return Entity(start, end, label)


def cut_overlaps(doc: Doc, entities: Sequence[Entity], order: Sequence[int]) -> list[Entity]:
    """Give each token to one entity only, the first that holds it; what is left of the others stays, in pieces.

    So every token that any of the entities holds is in an entity still, as those who mask entities need it.

    doc (Doc): The document.
    entities (Sequence[Entity]): Entities that may overlap.
    order (Sequence[int]): Their indices, those first that are to stay whole.
    RETURNS (list[Entity]): Entities and pieces, none of white space alone, in the order of the text.
    """
    free, pieces = [True] * len(doc), []
    for start, end, label in (entities[i] for i in order):
        for is_free, run in groupby(range(start, end), lambda i: free[i]):
            tokens = list(run)
            piece = trim_whitespace(doc, Entity(tokens[0], tokens[-1] + 1, label))
            if is_free and piece.start < piece.end:
                pieces.append(piece)
        free[start:end] = [False] * (end - start)
    return sorted(pieces)
