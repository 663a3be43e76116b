"""Places: which annotated entities and likely spans belong together, and what is wrong if the model is right."""

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_bert_ner.auditing.places import DOUBT_KINDS, SpanPosteriors, find_places, overlap
from spacy_bert_ner.tags import Entity

A, B = Entity(0, 1, "ORG"), Entity(2, 3, "LOC")
WHOLE = Entity(0, 3, "ORG")


def spans(gold: list[Entity], posterior: Mapping[Entity, float]) -> SpanPosteriors:
    return SpanPosteriors(tuple(gold), posterior)


# Of one place: annotated entities, posteriors; the kind, what is suggested, and how probable that is.
CASES = {
    "missing": ([], {A: 0.9}, "missing", [A], 0.9),
    "spurious": ([A], {A: 0.1}, "spurious", [], 0.9),
    "spurious, though another is likelier than it": ([A], {A: 0.01, WHOLE: 0.2}, "spurious", [], 0.79),
    "type": ([A], {A: 0.1, Entity(0, 1, "LOC"): 0.7}, "type", [Entity(0, 1, "LOC")], 0.7),
    "boundary": ([A], {A: 0.1, WHOLE: 0.8}, "boundary", [WHOLE], 0.8),
    "both": ([B], {B: 0.1, WHOLE: 0.8}, "both", [WHOLE], 0.8),
    "one instead of two": ([A, B], {A: 0.1, B: 0.2, WHOLE: 0.8}, "both", [WHOLE], 0.8),
    "two instead of one": ([WHOLE], {WHOLE: 0.1, A: 0.8, B: 0.7}, "both", [A, B], 0.7),
    "the likelier of two": ([], {A: 0.4, WHOLE: 0.5}, "missing", [WHOLE], 0.5),
    "right": ([A], {A: 0.99}, "spurious", [], 0.01),
}


@pytest.mark.parametrize("name", CASES)
def test_kinds(name: str) -> None:
    gold, posterior, kind, suggested, probability = CASES[name]
    (place,) = find_places(3, spans(gold, posterior))
    assert (place.document, place.kind) == (3, kind)
    assert (list(place.annotated), list(place.suggested)) == (gold, suggested)
    assert place.suggested_posterior == pytest.approx(probability)
    least = min((posterior[entity] for entity in gold), default=1 - probability)
    assert place.annotated_posterior == pytest.approx(least)


def test_what_does_not_touch_is_apart() -> None:
    places = find_places(0, spans([A, Entity(5, 7, "PER")], {A: 0.9, Entity(5, 7, "PER"): 0.9, B: 0.6}))
    assert [(place.start, place.end, place.kind) for place in places] == [
        (0, 1, "spurious"),
        (2, 3, "missing"),
        (5, 7, "spurious"),
    ]


LONGER, BRIDGE, BEHIND = Entity(3, 6, "LOC"), Entity(0, 4, "ORG"), Entity(4, 6, "PER")


@pytest.mark.parametrize(
    ("posterior", "expected"),
    [
        # Neither the bridge nor one of the two.
        ({A: 0.97, B: 0.01, WHOLE: 0.02}, [([A], [], 0.01), ([B], [], 0.97)]),
        # Another span in place of the second one, which says nothing of the first.
        ({A: 0.95, LONGER: 0.02, BRIDGE: 0.03, BEHIND: 0.9}, [([A], [], 0.02), ([LONGER], [BEHIND], 0.9)]),
    ],
)
def test_what_is_suggested_of_one_entity_drops_no_other(
    posterior: dict[Entity, float], expected: list[tuple[list[Entity], list[Entity], float]]
) -> None:
    gold = [entity for entity in posterior if entity in (A, B, LONGER)]
    places = find_places(0, spans(gold, posterior))
    assert [(list(place.annotated), list(place.suggested)) for place in places] == [each[:2] for each in expected]
    assert [place.suggested_posterior for place in places] == pytest.approx([each[2] for each in expected])


def test_entities_that_cannot_be_judged_are_left_alone() -> None:
    assert find_places(0, SpanPosteriors((), {WHOLE: 0.9}, unjudged=(A,))) == []


entities = st.builds(
    lambda start, size, label: Entity(start, start + size, label),
    st.integers(0, 30),
    st.integers(1, 5),
    st.sampled_from("XYZ"),
)


@given(st.dictionaries(entities, st.floats(0, 1), max_size=25), st.data())
def test_every_entity_has_one_place_and_places_do_not_overlap(
    posterior: dict[Entity, float], data: st.DataObject
) -> None:
    gold: list[Entity] = []
    for entity in sorted(posterior):
        if data.draw(st.booleans()) and not any(overlap(entity, other) for other in gold):
            gold.append(entity)
    places = find_places(0, spans(gold, posterior))
    assert [entity for place in places for entity in place.annotated] == gold
    assert all(left.end <= right.start for left, right in pairwise(places))
    for place in places:
        assert place.kind in DOUBT_KINDS
        assert place.annotated != place.suggested
        # What is dropped is contradicted, or all that there is.
        contradicted = [x for x in place.annotated if any(overlap(x, other) for other in place.suggested)]
        assert len(place.annotated) < 2 or contradicted == list(place.annotated)
        assert 0 <= place.annotated_posterior <= 1
        assert 0 <= place.suggested_posterior <= 1
    # Nothing that is likelier than not is passed over, unless something likelier overlaps it.
    shown = [*gold, *(entity for place in places for entity in place.suggested)]
    for entity, value in posterior.items():
        rivals = [other for other in shown if overlap(entity, other)]
        assert value <= 0.5 or entity in shown or any(posterior[other] >= value or other in gold for other in rivals)
