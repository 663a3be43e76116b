"""Gold, predicted and right entities, counted per document, and the rates that follow."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spacy_bert_ner.tags import Entity

from .document_records import Judged

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RATES = ("precision", "recall", "f1")
GOLD, FOUND, RIGHT = 0, 1, 2


@dataclass(frozen=True)
class Counts:
    """Counts of groups of entities.

    names (tuple[str, ...]): The groups.
    array (Ints): (documents, groups, 3): gold, predicted, right.
    """

    names: tuple[str, ...]
    array: Ints

    def total(self) -> Ints:
        """RETURNS (Ints): (groups, 3), over all documents."""
        return self.array.sum(axis=0)


def count(records: Sequence[Judged], names: Sequence[str], group: Callable[[int, Entity], str | None]) -> Counts:
    """Count entities by document and group.

    records (Sequence[Judged]): The documents.
    names (Sequence[str]): The groups.
    group (Callable[[int, Entity], str | None]): Gives the group of an entity in the document of that index, the same
        for a gold entity and its equal among the predicted; None for no group.
    RETURNS (Counts): The counts.
    """
    index = {name: i for i, name in enumerate(names)}
    array = np.zeros((len(records), len(names), 3), dtype=np.int64)
    for i, record in enumerate(records):
        right = set(record.gold).intersection(record.found)
        for column, entities in ((GOLD, record.gold), (FOUND, record.found), (RIGHT, right)):
            for entity in entities:
                name = group(i, entity)
                if name is not None:
                    array[i, index[name], column] += 1
    return Counts(tuple(names), array)


def count_all(records: Sequence[Judged]) -> Counts:
    """RETURNS (Counts): All entities in one group, "all"."""
    return count(records, ["all"], lambda _, entity: "all")


def count_types(records: Sequence[Judged]) -> Counts:
    """RETURNS (Counts): Entities by type: the types that occur, sorted."""
    return count(records, types_of(records), lambda _, entity: entity.label)


def types_of(records: Iterable[Judged]) -> list[str]:
    """RETURNS (list[str]): The types of gold and of predicted entities, sorted."""
    return sorted({ent.label for record in records for ent in (*record.gold, *record.found)})


def rates(counts: npt.NDArray[Any]) -> Floats:
    """Compute precision, recall and F1.

    counts (NDArray): (..., 3): gold, predicted, right.
    RETURNS (Floats): (..., 3), NaN where undefined: precision without predictions, recall without gold entities, F1
        without either.
    """
    gold, found, right = np.moveaxis(counts.astype(np.float64), -1, 0)
    with np.errstate(invalid="ignore"):
        return np.stack([right / found, right / gold, 2 * right / (gold + found)], axis=-1)


def row(counts: Ints, interval: Floats | None = None) -> dict[str, Any]:
    """Write one group's figures as JSON has them.

    counts (Ints): (3,): gold, predicted, right.
    interval (Floats | None): (2, 3): lower and upper ends for precision, recall and F1.
    RETURNS (dict[str, Any]): "precision", "recall", "f1", each a float or None, "counts" with gold, predicted and
        correct, and "interval" with a pair for each rate or None.
    """
    ends = {} if interval is None else {name: plain(interval[:, i]) for i, name in enumerate(RATES)}
    return {
        **dict(zip(RATES, plain(rates(counts)), strict=True)),
        "counts": {"gold": int(counts[GOLD]), "predicted": int(counts[FOUND]), "correct": int(counts[RIGHT])},
        "interval": {name: None if None in pair else pair for name, pair in ends.items()} or None,
    }


def plain(values: Floats) -> list[float | None]:
    """RETURNS (list[float | None]): Numbers as JSON has them, None for NaN."""
    return [None if np.isnan(value) else float(value) for value in values]
