"""What goes wrong: every gold and every predicted entity gets one verdict, and each kind of error its F1 gain.

The categories are those of MUC (Chinchor & Sundheim 1993), distinguished by boundary and type. nervaluate counts the
same (tests compare with it), but does not say which prediction it paired with which gold entity, which is what a reader
needs to see.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from spacy_bert_ner.arrays import Ints
from spacy_bert_ner.tags import Entity

from .counts import FOUND, GOLD, RIGHT
from .document_records import Judged
from .typed_figures import Confusion, ErrorFigures, ErrorKindFigures

VERDICTS = {
    "right": "Right",
    "boundary": "Right type, wrong boundary",
    "type": "Right boundary, wrong type",
    "both": "Overlapping, both wrong",
    "missed": "Missed",
    "spurious": "Spurious",
}
ERROR_VERDICTS = tuple(verdict for verdict in VERDICTS if verdict != "right")


class Case(NamedTuple):
    """A gold entity and the prediction made for it.

    document (int): Index of the document.
    verdict (str): One of VERDICTS.
    gold (Entity | None): The gold entity; None where the prediction is spurious.
    found (Entity | None): The prediction; None where the gold entity was missed.
    """

    document: int
    verdict: str
    gold: Entity | None
    found: Entity | None


@dataclass(frozen=True)
class ErrorKind:
    """A kind of error, or one confusion of that kind, and what fixing it would gain.

    verdict (str): The kind of error.
    gold, found (str | None): The types mixed up; None for all errors of that kind.
    errors (int): How many there are.
    gain (float): By how much F1 would rise were all of them fixed, and nothing else changed.
    """

    verdict: str
    gold: str | None
    found: str | None
    errors: int
    gain: float


def find_cases(records: Sequence[Judged]) -> list[Case]:
    """Pair gold entities with predictions, each with one at most, and judge every pair and everything left over.

    records (Sequence[Judged]): The documents.
    RETURNS (list[Case]): In the order of the text.
    """
    return [case for i, record in enumerate(records) for case in _pair(i, record)]


def _pair(document: int, record: Judged) -> list[Case]:
    """Pair the closest first: equal, same span, same type, any overlap; among those, the longest overlap."""
    candidates = sorted((_distance(gold, found), gold, found) for gold, found in _overlapping(record))
    cases, free_gold, free_found = [], set(record.gold), set(record.found)
    for _, gold, found in candidates:
        if gold in free_gold and found in free_found:
            free_gold.discard(gold)
            free_found.discard(found)
            cases.append(Case(document, _judge(gold, found), gold, found))
    cases.extend(Case(document, "missed", gold, None) for gold in free_gold)
    cases.extend(Case(document, "spurious", None, found) for found in free_found)
    return sorted(cases, key=lambda case: case.gold or case.found or ())


def _overlapping(record: Judged) -> Iterator[tuple[Entity, Entity]]:
    """Walk through both in the order of the text. YIELDS: gold and predicted entities that overlap."""
    gold, found = iter(record.gold), iter(record.found)
    a, b = next(gold, None), next(found, None)
    while a and b:
        if _overlap(a, b):
            yield a, b
        if a.end <= b.end:
            a = next(gold, None)
        else:
            b = next(found, None)


def _overlap(a: Entity, b: Entity) -> int:
    return max(0, min(a.end, b.end) - max(a.start, b.start))


def _distance(gold: Entity, found: Entity) -> tuple[bool, bool, int]:
    return gold[:2] != found[:2], gold.label != found.label, -_overlap(gold, found)


def _judge(gold: Entity, found: Entity) -> str:
    if gold[:2] == found[:2]:
        return "right" if gold.label == found.label else "type"
    return "boundary" if gold.label == found.label else "both"


def confusion(cases: Iterable[Case], types: Sequence[str]) -> list[list[int]]:
    """Count which type was taken for which.

    cases (Iterable[Case]): From `find_cases`.
    types (Sequence[str]): The types.
    RETURNS (list[list[int]]): (types + 1, types + 1): gold types by predicted types, the last of each for none. Pairs
        with a wrong boundary count with the rest, so that the diagonal holds more than what is right.
    """
    index: dict[str | None, int] = {name: i for i, name in enumerate((*types, None))}
    table = [[0] * len(index) for _ in index]
    for case in cases:
        gold, found = (None if ent is None else ent.label for ent in (case.gold, case.found))
        table[index[gold]][index[found]] += 1
    return table


def rank_error_kinds(cases: Sequence[Case], total: Ints) -> list[ErrorKind]:
    """Compute what fixing each kind of error, and each kind between two types, would gain.

    cases (Sequence[Case]): From `find_cases`.
    total (Ints): (3,): gold, predicted and right entities.
    RETURNS (list[ErrorKind]): All kinds, in the order of ERROR_VERDICTS, then single confusions, costliest first.
    """
    kinds = Counter(case.verdict for case in cases)
    single = Counter(
        (case.verdict, case.gold.label if case.gold else None, case.found.label if case.found else None)
        for case in cases
        if case.verdict != "right"
    )
    whole = [ErrorKind(kind, None, None, kinds[kind], _gain(kind, kinds[kind], total)) for kind in ERROR_VERDICTS]
    details = [ErrorKind(*key, errors, _gain(key[0], errors, total)) for key, errors in single.items()]
    return whole + sorted(details, key=lambda kind: (-kind.gain, kind.verdict, str(kind.gold), str(kind.found)))


def _gain(verdict: str, errors: int, total: Ints) -> float:
    gold, found, right = (int(total[column]) for column in (GOLD, FOUND, RIGHT))
    if not errors:
        return 0.0
    found_then = found + {"missed": errors, "spurious": -errors}.get(verdict, 0)
    right_then = right + (0 if verdict == "spurious" else errors)
    # Where the only predictions were spurious ones and nothing is gold, nothing is left to be wrong about.
    then = 2 * right_then / (gold + found_then) if gold + found_then else 1.0
    return then - 2 * right / (gold + found)


def describe_errors(
    records: Sequence[Judged], cases: Sequence[Case], types: Sequence[str], total: Ints
) -> ErrorFigures:
    """RETURNS (ErrorFigures): What goes wrong, as JSON has it."""
    kinds = Counter(case.verdict for case in cases)
    return ErrorFigures(
        verdicts={verdict: kinds[verdict] for verdict in VERDICTS},
        ignored=sum(len(record.ignored) for record in records),
        confusion=Confusion(types=list(types), table=confusion(cases, types)),
        kinds=[
            ErrorKindFigures(verdict=kind.verdict, gold=kind.gold, found=kind.found, errors=kind.errors, gain=kind.gain)
            for kind in rank_error_kinds(cases, total)
        ],
    )
