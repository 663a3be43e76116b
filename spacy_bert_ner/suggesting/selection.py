"""The choice among texts: unsure ones, unlike ones, or both; and never what is nearly the same as what is chosen."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from spacy_bert_ner.arrays import Floats

from .text_doubts import TextDoubts

Way = Literal["uncertainty", "diversity", "both"]
WAYS: tuple[Way, ...] = get_args(Way)
# Texts whose vectors, from the mean of all, lie in directions of a higher cosine are nearly the same.
SAME = 0.95
# No type counts more or less than so many times as much as another of average frequency.
_LARGEST_WEIGHT = 4.0
_ROUNDING = 1e-5


def weigh_types(texts: Sequence[TextDoubts]) -> Floats:
    """Weigh types by how rare they are: doubts of a type of a quarter of the average frequency count twice.

    texts (Sequence[TextDoubts]): All texts there are to choose from.
    RETURNS (Floats): (average frequency / frequency) ** 0.5 of each type, by the entities that the model expects, from
        1 / 4 to 4. (labels,)
    """
    expected = np.sum([text.expected for text in texts], axis=0)
    # One entity more of each, lest a type that occurs once decides all.
    frequency = expected + 1.0
    weights: Floats = np.sqrt(frequency.mean() / frequency)
    return np.clip(weights, 1 / _LARGEST_WEIGHT, _LARGEST_WEIGHT)


def uncertainty(texts: Sequence[TextDoubts], weights: Floats) -> Floats:
    """RETURNS (Floats): The entropy of each text's spans per word, weighed by type, in nats. (texts,)"""
    return np.array([float(text.entropy @ weights) / max(1, text.words) for text in texts])


def choose_texts_to_annotate(
    texts: Sequence[TextDoubts], count: int, by: Way, known: Sequence[TextDoubts] = ()
) -> list[int]:
    """Choose texts one after another, each by how unsure the model is and how far it lies from all chosen before.

    Its value is its uncertainty ("uncertainty"), its distance from the nearest one that is chosen ("diversity", the
    greedy k-center of Sener & Savarese 2018), or their product ("both"); a text that is nearly the same as one that is
    chosen or known has none.

    texts (Sequence[TextDoubts]): The texts.
    count (int): How many to choose.
    by (Way): One of WAYS.
    known (Sequence[TextDoubts]): Texts that are annotated already.
    RETURNS (list[int]): Indices, the most valuable first; fewer than `count` where the others have no value.
    """
    filled = np.array([text.words > 0 for text in texts], dtype=bool)
    if not filled.any():
        return []
    unsure = np.ones(len(texts)) if by == "diversity" else uncertainty(texts, weigh_types(texts))
    directions, others = _directions([*texts, *known], len(texts))
    nearest = np.full(len(texts), -1.0)
    for other in others:
        nearest = np.maximum(nearest, directions @ other)
    chosen: list[int] = []
    free = filled.copy()
    while len(chosen) < count:
        distance = 1.0 - nearest
        value = np.where(free & (nearest < SAME), unsure * (1.0 if by == "uncertainty" else distance), 0.0)
        best = int(value.argmax())
        if value[best] <= 0:
            break
        chosen.append(best)
        free[best] = False
        nearest = np.maximum(nearest, directions @ directions[best])
    return chosen


def _directions(texts: Sequence[TextDoubts], first: int) -> tuple[Floats, Floats]:
    """RETURNS (tuple[Floats, Floats]): Unit vectors from the mean of all, of the first texts and of the others."""
    width = max(len(text.vector) for text in texts)
    vectors = np.stack([text.vector if len(text.vector) else np.zeros(width) for text in texts])
    centred = vectors - vectors.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    # What is as far from the mean as rounding takes it has no direction.
    far = norms > _ROUNDING * np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(centred, norms, out=np.zeros_like(centred), where=far)
    return unit[:first], unit[first:]
