"""Counts of a corpus."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wasabi import table

if TYPE_CHECKING:
    from spacy.tokens import Doc

MEASURES = ("documents", "sentences", "tokens", "unannotated tokens", "entities")
# Shown only where there are any.
_RARE = ("sentences", "unannotated tokens")


def count_corpus(docs: "Sequence[Doc]") -> dict[str, int]:
    """Count a split. RETURNS (dict[str, int]): The measures, then the entities of each type by name."""
    types = Counter(ent.label_ for doc in docs for ent in doc.ents)
    totals = (
        len(docs),
        sum(token.is_sent_start is True for doc in docs if doc.has_annotation("SENT_START") for token in doc),
        sum(map(len, docs)),
        sum(not token.ent_iob for doc in docs for token in doc),
        types.total(),
    )
    return {**dict(zip(MEASURES, totals, strict=True)), **{f"  {label}": types[label] for label in sorted(types)}}


def summary_table(splits: "Mapping[str, Sequence[Doc] | None]") -> str:
    """Tabulate documents, sentences, tokens, entities, and entities by type, a column per split.

    splits (Mapping[str, Sequence[Doc] | None]): The documents of each split; None for a missing one.
    RETURNS (str): The table, several lines.
    """
    counts = {name: None if docs is None else count_corpus(docs) for name, docs in splits.items()}
    known = [counted for counted in counts.values() if counted is not None]
    labels = sorted({key for counted in known for key in counted} - set(MEASURES))
    measures = [key for key in MEASURES if key not in _RARE or any(counted[key] for counted in known)]
    rows = [
        (key, *("missing" if counted is None else f"{counted.get(key, 0):,}" for counted in counts.values()))
        for key in (*measures, *labels)
    ]
    widest = max(len(cell) for row in rows for cell in row)
    header = ("", *splits)
    return table(
        rows, header=header, divider=True, aligns=("l", *"r" * len(splits)), max_col=max(widest, *map(len, header))
    )
