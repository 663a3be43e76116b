"""Precedents, against a loop over all occurrences; and the strength of the model's word against theirs."""

import random
import re

import numpy as np
import pytest

from spacy_bert_ner.auditing.places import ReadPlace, name_difference
from spacy_bert_ner.auditing.precedents import (
    OTHERWISE,
    STRENGTHS,
    AnnotatedWords,
    Precedents,
    choose_strength,
    combine,
    find_precedents,
)
from spacy_bert_ner.tags import Entity

WORDS = ("Bank", "of", "Oslo", "in", "IN", "12", "345")


def context(words: list[str], start: int, end: int) -> tuple[str, str]:
    padded = ["<", *words, ">"]
    before, after = padded[start], padded[end + 1]
    return tuple(re.sub(r"\d+", "0", word.lower()) for word in (before, after))  # type: ignore[return-value]


def by_loop(place: ReadPlace, documents: list[AnnotatedWords]) -> tuple[float, ...]:
    """The definition: every other occurrence of the string, with the weight of its context."""
    start, end, label = (place.suggested or place.annotated)[0]
    own = list(documents[place.document].words)
    string, around = own[start:end], context(own, start, end)

    def annotation(document: AnnotatedWords, start: int, end: int) -> str:
        hit = [each for each in document.gold if each.start < end and start < each.end]
        if not hit:
            return ""
        return hit[0].label if hit[0][:2] == (start, end) else OTHERWISE

    here = annotation(documents[place.document], start, end)
    wanted = (label if place.suggested else "", here)
    sums, counts = [0.0, 0.0, 0.0], [0, 0, 0]
    for i, document in enumerate(documents):
        words = list(document.words)
        for at in range(len(words) - len(string) + 1):
            span = (at, at + len(string))
            if words[slice(*span)] != string or (i, at) == (place.document, start):
                continue
            if document.unknown & set(range(*span)):
                continue
            other = context(words, *span)
            matches = (around[0] == other[0]) + (around[1] == other[1])
            weight, how = (0.03, 0.3, 1.0)[matches], annotation(document, *span)
            if how == OTHERWISE and here != OTHERWISE:
                continue
            for k, match in enumerate((how == wanted[0], how == wanted[1], True)):
                sums[k] += weight * match
                counts[k] += match
    return (*sums, *counts)


def make_documents(rng: random.Random) -> list[AnnotatedWords]:
    documents = []
    for _ in range(6):
        words = rng.choices(WORDS, k=rng.randint(1, 25))
        gold, at = [], 0
        while at < len(words):
            size = rng.randint(1, 3)
            if rng.random() < 0.4 and at + size <= len(words):
                gold.append(Entity(at, at + size, rng.choice(("ORG", "LOC"))))
            at += size
        covered = {i for entity in gold for i in range(*entity[:2])}
        unknown = frozenset(i for i in range(len(words)) if i not in covered and rng.random() < 0.1)
        documents.append(AnnotatedWords(words, gold, unknown))
    return documents


@pytest.mark.parametrize("seed", range(30))
def test_precedents_are_those_of_the_loop(seed: int) -> None:
    rng = random.Random(seed)
    documents = make_documents(rng)
    places = []
    for i, document in enumerate(documents):
        for entity in document.gold:
            places.append(ReadPlace(i, "spurious", (entity,), (), 0.5, 0.5))
            other = entity._replace(label="PER")
            places.append(ReadPlace(i, name_difference([entity], [other]), (entity,), (other,), 0.5, 0.5))
            if entity.end - entity.start > 1:
                shorter = entity._replace(end=entity.end - 1)
                places.append(ReadPlace(i, "boundary", (entity,), (shorter,), 0.5, 0.5))
        free = [k for k in range(len(document.words)) if k not in document.owner and k not in document.unknown]
        places += [ReadPlace(i, "missing", (), (Entity(k, k + 1, "LOC"),), 0.5, 0.5) for k in free]
    for place, found in zip(places, find_precedents(places, documents), strict=True):
        assert tuple(found) == pytest.approx(by_loop(place, documents), abs=1e-9)


def place(annotated: float) -> ReadPlace:
    return ReadPlace(0, "type", (Entity(0, 1, "A"),), (Entity(0, 1, "B"),), annotated, 1 - annotated)


def test_a_place_without_precedents_keeps_its_posterior() -> None:
    places = [place(0.3), place(0.9)]
    assert combine(places, [Precedents()] * 2, 5.0).tolist() == pytest.approx([0.7, 0.1])


def test_contradiction_raises_and_agreement_lowers_a_doubt() -> None:
    places, strength = [place(0.5)] * 3, 10.0
    precedents = [Precedents(), Precedents(suggested=10.0, total=10.0), Precedents(annotated=10.0, total=10.0)]
    assert combine(places, precedents, strength).tolist() == pytest.approx([0.5, 0.75, 0.25])


def test_the_strength_is_the_likeliest() -> None:
    """A model that knows nothing gives way to precedents that are always right, and the other way round."""
    always = [Precedents(annotated=5.0, total=5.0)] * 50
    never = [Precedents(annotated=0.0, total=5.0)] * 50
    assert choose_strength([place(0.3)] * 50, always) == STRENGTHS[0]
    assert choose_strength([place(0.99)] * 50, never) == STRENGTHS[-1]
    assert choose_strength([], []) == STRENGTHS[-1]


def test_the_strength_is_recovered() -> None:
    """Annotation drawn from a Dirichlet prior of a known strength around the model's posteriors."""
    rng = np.random.default_rng(0)
    places, precedents = [], []
    for _ in range(4000):
        posterior = float(rng.uniform(0.2, 0.8))
        rate = rng.beta(10 * posterior, 10 * (1 - posterior))
        others = int(rng.binomial(20, rate))
        here = rng.random() < rate
        places.append(place(posterior if here else 1 - posterior))
        precedents.append(Precedents(annotated=float(others if here else 20 - others), total=20.0))
    assert choose_strength(places, precedents) in (5.0, 10.0, 20.0)
