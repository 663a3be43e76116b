"""Gold, predicted and right entities, counted per document, and the rates that follow."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from spacy_bert_ner.arrays import Array, Floats, Ints
from spacy_bert_ner.tags import Entity

from .document_records import Judged
from .typed_figures import EntityCounts, Figures, Intervals, Rates

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


def count_entities(
    records: Sequence[Judged], names: Sequence[str], group: Callable[[int, Entity], str | None]
) -> Counts:
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
    return count_entities(records, ["all"], lambda _, entity: "all")


def count_types(records: Sequence[Judged]) -> Counts:
    """RETURNS (Counts): Entities by type: the types that occur, sorted."""
    return count_entities(records, types_of(records), lambda _, entity: entity.label)


def types_of(records: Iterable[Judged]) -> list[str]:
    """RETURNS (list[str]): The types of gold and of predicted entities, sorted."""
    return sorted({ent.label for record in records for ent in (*record.gold, *record.found)})


def rates(counts: Array) -> Floats:
    """Compute precision, recall and F1.

    counts (Array): (..., 3): gold, predicted, right.
    RETURNS (Floats): (..., 3), NaN where undefined: precision without predictions, recall without gold entities, F1
        without either.
    """
    gold, found, right = np.moveaxis(counts.astype(np.float64), -1, 0)
    with np.errstate(invalid="ignore"):
        return np.stack([right / found, right / gold, 2 * right / (gold + found)], axis=-1)


def figures_of(counts: Ints, ends: Floats | None = None) -> Figures:
    """Write the figures of a group of entities.

    counts (Ints): (3,): gold, predicted, right.
    ends (Floats | None): (2, 3): lower and upper ends of the intervals of precision, recall and F1.
    RETURNS (Figures): The figures; without an interval where no rate has one.
    """
    precision, recall, f1 = (None, None, None) if ends is None else map(pair_of, ends.T)
    interval = Intervals(precision=precision, recall=recall, f1=f1)
    return Figures(
        **name_rates(rates(counts)),
        counts=EntityCounts(gold=int(counts[GOLD]), predicted=int(counts[FOUND]), correct=int(counts[RIGHT])),
        interval=None if ends is None else interval,
    )


def name_rates(values: Floats) -> Rates:
    """RETURNS (Rates): Precision, recall and F1 by name. values: (3,), as `rates` gives them."""
    precision, recall, f1 = plain(values)
    return Rates(precision=precision, recall=recall, f1=f1)


def pair_of(ends: Floats) -> list[float] | None:
    """RETURNS (list[float] | None): Lower and upper end of an interval; None where it is undefined."""
    pair = [value for value in plain(ends) if value is not None]
    return pair if len(pair) == 2 else None


def plain(values: Floats) -> list[float | None]:
    """RETURNS (list[float | None]): Numbers as JSON has them, None for NaN."""
    return [None if np.isnan(value) else float(value) for value in values]
