"""Folds of documents: every document is judged by a model that saw neither it nor another that repeats it."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations

from .audit_error import AuditError

# Runs of so many words that documents share show that one repeats the other.
RUN_WORDS = 8
# Of the runs of the shorter one; and how many different documents may share a run before it is a formula that says
# nothing.
REPEATED, FORMULA = 0.5, 20
_SEED = 0


def group_repeated(documents: Sequence[Sequence[str]]) -> list[int]:
    """Find documents that repeat each other: equal ones, and those that share half of their runs of eight words.

    Were one in training and the other held out, the model would know the other's annotation by heart.

    documents (Sequence[Sequence[str]]): Their words.
    RETURNS (list[int]): The group of each, which is the index of its first document.
    """
    first: dict[tuple[str, ...], int] = {}
    # However many equal ones there are, they are one document.
    groups = [first.setdefault(tuple(words), i) for i, words in enumerate(documents)]
    runs = {i: _runs(words) for words, i in first.items()}
    sharing: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, own in runs.items():
        for run in own:
            sharing[run].append(i)
    shared: Counter[tuple[int, int]] = Counter()
    for owners in sharing.values():
        if len(owners) <= FORMULA:
            shared.update(combinations(owners, 2))
    for (left, right), count in shared.items():
        if count >= REPEATED * min(len(runs[left]), len(runs[right])):
            _join(groups, left, right)
    return [_root(groups, i) for i in range(len(groups))]


def _runs(words: Sequence[str]) -> set[tuple[str, ...]]:
    """RETURNS (set[tuple[str, ...]]): All runs; none of a document that is shorter, which only its equals repeat."""
    return {tuple(words[i : i + RUN_WORDS]) for i in range(len(words) - RUN_WORDS + 1)}


def _root(groups: list[int], i: int) -> int:
    while groups[i] != i:
        groups[i] = groups[groups[i]]
        i = groups[i]
    return i


def _join(groups: list[int], left: int, right: int) -> None:
    first, second = sorted((_root(groups, left), _root(groups, right)))
    groups[second] = first


def assign_folds(documents: Sequence[Sequence[str]], folds: int) -> list[int]:
    """Divide documents into folds of about as many words, always the same; what repeats each other stays together.

    documents (Sequence[Sequence[str]]): Their words.
    folds (int): How many, at least 2.
    RETURNS (list[int]): The fold of each document, from 0.
    RAISES: AuditError where there are fewer documents, repeated ones counted once, than folds.
    """
    groups = group_repeated(documents)
    words: Counter[int] = Counter()
    for group, own in zip(groups, documents, strict=True):
        words[group] += max(1, len(own))
    if len(words) < folds:
        raise AuditError(
            f"--folds {folds}: the corpus holds {len(words)} documents, those that repeat each other counted once, "
            "expected at least one for each fold"
        )
    order = sorted(words)
    random.Random(_SEED).shuffle(order)
    # The largest first, each to the fold that has the fewest words.
    order.sort(key=lambda group: -words[group])
    size, fold_of = [0] * folds, {}
    for group in order:
        fold = size.index(min(size))
        fold_of[group] = fold
        size[fold] += words[group]
    return [fold_of[group] for group in groups]
