"""Equal texts with different annotation, which contradict each other in training."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .notes import Notes

if TYPE_CHECKING:
    from spacy.tokens import Doc

CONTRADICTORY = (
    "{n} texts come again with other entities; correct them, or add --partial if not all entities were marked in each:"
)


def find_contradictions(docs: "Sequence[Doc]", places: Sequence[str], notes: Notes) -> None:
    """List texts that are repeated with other entities. Unannotated tokens contradict nothing.

    places (Sequence[str]): The place of each document in its file.
    notes (Notes): Receives the texts.
    """
    twins: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, doc in enumerate(docs):
        if len(doc):
            twins[tuple(token.text for token in doc)].append(i)
    for first, *others in twins.values():
        # One document per annotation, as a text may occur thousands of times.
        kinds = {_annotation(docs[first]): first}
        for i in others:
            annotation = _annotation(docs[i])
            if annotation in kinds:
                continue
            for other, earlier in kinds.items():
                if tokens := _differ(other, annotation):
                    shown = docs[i][tokens[0] : tokens[-1] + 1].text[:60]
                    place = f"{places[i]}, as {places[earlier]}: {docs[i].text[:60]!r}, at {shown!r}"
                    notes.place(CONTRADICTORY, place)
                    break
            kinds[annotation] = i


def _annotation(doc: "Doc") -> tuple[tuple[int, int], ...]:
    return tuple((token.ent_iob, token.ent_type) for token in doc)


def _differ(left: tuple[tuple[int, int], ...], right: tuple[tuple[int, int], ...]) -> list[int]:
    """RETURNS (list[int]): Tokens that both annotate, and differently."""
    return [i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a[0] and b[0] and a != b]
