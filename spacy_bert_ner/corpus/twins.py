"""Equal texts that are annotated otherwise: what one teaches, the other takes back."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spacy_bert_ner.corpus.notes import Notes

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
        for i in others:
            if tokens := _contradictions(docs[first], docs[i]):
                shown = docs[i][tokens[0] : tokens[-1] + 1].text[:60]
                notes.place(
                    CONTRADICTORY, f"{places[i]}, as {places[first]}: {docs[i].text[:60]!r} differs at {shown!r}"
                )


def _contradictions(left: "Doc", right: "Doc") -> list[int]:
    """RETURNS (list[int]): Tokens of which both documents know something, and not the same."""
    pairs = enumerate(zip(left, right, strict=True))
    return [i for i, (a, b) in pairs if a.ent_iob and b.ent_iob and (a.ent_iob, a.ent_type) != (b.ent_iob, b.ent_type)]
