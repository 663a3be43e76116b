"""How entities and their confidences are written to a Doc, and read back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from spacy.tokens import Doc, Span, SpanGroup

from .tags import Entity

# Values of token.ent_iob that spaCy gives no names to: no annotation, and "never an entity" (Doc.set_ents's `blocked`).
MISSING, BLOCKED = 0, 3

EXTENSION = "confidence"


@dataclass(frozen=True)
class Prediction:
    """The entities found in one document.

    entities (list[Entity]): In the order of the text, without overlaps.
    scores (ndarray): Probability of exactly that span and label. (entities,)
    any_label (ndarray): Probability that exactly that span is an entity, whatever its label. (entities,)
    runner_up (list[str]): The best other label for that span, "" where there is none. (entities,)
    runner_up_scores (ndarray): Its probability. (entities,)
    """

    entities: list[Entity]
    scores: npt.NDArray[np.float32]
    any_label: npt.NDArray[np.float32]
    runner_up: list[str]
    runner_up_scores: npt.NDArray[np.float32]

    @classmethod
    def empty(cls) -> "Prediction":
        """RETURNS (Prediction): Of a document without entities."""
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


def set_spans(doc: Doc, prediction: Prediction, key: str) -> None:
    """Write entities with their confidences to doc.spans, as spaCy's spancat does.

    doc (Doc): The document.
    prediction (Prediction): Its entities.
    key (str): Key of the SpanGroup. Its attrs hold, parallel to its spans, "scores", "any_label", "runner_up" and
        "runner_up_scores" (see Prediction).
    """
    group = SpanGroup(doc, name=key, spans=[Span(doc, *entity) for entity in prediction.entities])
    group.attrs["scores"] = prediction.scores
    group.attrs["any_label"] = prediction.any_label
    group.attrs["runner_up"] = prediction.runner_up
    group.attrs["runner_up_scores"] = prediction.runner_up_scores
    doc.spans[key] = group


def get_confidence(span: Span) -> float | None:
    """Look a span's confidence up in the document's span groups: the getter of `span._.confidence`.

    span (Span): An entity.
    RETURNS (float | None): Probability of exactly this span and label; None where no component stored one.
    """
    for group in span.doc.spans.values():
        scores = group.attrs.get("scores")
        if scores is None:
            continue
        for other, score in zip(group, scores, strict=False):
            if (other.start, other.end, other.label) == (span.start, span.end, span.label):
                return float(score)
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
