"""Equal texts that are annotated otherwise: what one teaches, the other takes back."""

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
    """List texts that come again with other entities. What is unknown contradicts nothing.

    docs (Sequence[Doc]): Documents with their annotation.
    places (Sequence[str]): Where each of them stands in its file.
    notes (Notes): Gets the texts.
    """
    twins: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, doc in enumerate(docs):
        if len(doc):
            twins[tuple(token.text for token in doc)].append(i)
    for first, *others in twins.values():
        # One of each kind, as there may be thousands of one text.
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
    """RETURNS (list[int]): Tokens of which both know something, and not the same."""
    return [i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a[0] and b[0] and a != b]
