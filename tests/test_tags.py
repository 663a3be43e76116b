"""Tag schemes against seqeval, which knows the same rules from elsewhere."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB2, IOBES, Tokens

from spacy_bert_ner.tags import SCHEMES, Entity, TagScheme, get_scheme, read_entities

LABELS = ("PER", "LOC")
# Our scheme, seqeval's, and how seqeval spells our prefixes.
ORACLES = [
    pytest.param("BIO", IOB2, {}, id="BIO-IOB2"),
    pytest.param("BILUO", BILOU, {}, id="BILUO-BILOU"),
    pytest.param("BILUO", IOBES, {"L": "E", "U": "S"}, id="BILUO-IOBES"),
    pytest.param("IOBES", IOBES, {}, id="IOBES-IOBES"),
]
schemes = pytest.mark.parametrize("name", sorted(SCHEMES))
oracles = pytest.mark.parametrize(("name", "theirs", "spelling"), ORACLES)


@st.composite
def texts(draw: st.DrawFn) -> tuple[list[Entity], int]:
    """Entities that do not overlap, and the number of tokens."""
    entities, end = [], 0
    for gap, length, label in draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.sampled_from(LABELS)), max_size=6)
    ):
        entities.append(Entity(end + gap, end + gap + length, label))
        end += gap + length
    return entities, end + draw(st.integers(0, 3))


def respell(tags: list[str] | tuple[str, ...], spelling: dict[str, str]) -> list[str]:
    return [spelling.get(tag[0], tag[0]) + tag[1:] for tag in tags]


def read_strictly(tags: list[str] | tuple[str, ...], theirs: type, spelling: dict[str, str]) -> list[Entity]:
    found = Tokens(respell(tags, spelling), scheme=theirs).entities
    return [Entity(entity.start, entity.end, entity.tag) for entity in found]


def is_legal(scheme: TagScheme, tags: tuple[str, ...]) -> bool:
    index = {tag: i for i, tag in enumerate(scheme.tags(LABELS))}
    path = [index[tag] for tag in tags]
    steps = scheme.transitions(LABELS)[path[:-1], path[1:]]
    return bool(scheme.starts(LABELS)[path[0]] and scheme.ends(LABELS)[path[-1]] and steps.all())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BIO", "B-PER I-PER O B-LOC I-LOC O B-LOC B-LOC B-PER I-PER I-PER"),
        ("BILUO", "B-PER L-PER O B-LOC L-LOC O U-LOC U-LOC B-PER I-PER L-PER"),
        ("IOBES", "B-PER E-PER O B-LOC E-LOC O S-LOC S-LOC B-PER I-PER E-PER"),
    ],
)
def test_encode_spells_out_an_example(name: str, expected: str) -> None:
    entities = [(0, 2, "PER"), (3, 5, "LOC"), (6, 7, "LOC"), (7, 8, "LOC"), (8, 11, "PER")]
    assert get_scheme(name).encode([Entity(*entity) for entity in reversed(entities)], 11) == expected.split()


@schemes
def test_tags_are_outside_then_each_label_in_order(name: str) -> None:
    scheme = get_scheme(name)
    assert scheme.tags([]) == ["O"]
    assert scheme.tags(LABELS) == ["O", *(f"{prefix}-{label}" for label in LABELS for prefix in scheme.prefixes)]


@schemes
@given(text=texts())
def test_reading_undoes_encoding(name: str, text: tuple[list[Entity], int]) -> None:
    entities, length = text
    tags = get_scheme(name).encode(entities, length)
    assert len(tags) == length
    assert read_entities(tags) == entities


@oracles
@given(text=texts())
def test_seqeval_reads_what_is_encoded(
    name: str, theirs: type, spelling: dict[str, str], text: tuple[list[Entity], int]
) -> None:
    entities, length = text
    assert read_strictly(get_scheme(name).encode(entities, length), theirs, spelling) == entities


@oracles
@pytest.mark.parametrize("length", [1, 2, 3])
def test_legal_is_what_survives_strict_reading(name: str, theirs: type, spelling: dict[str, str], length: int) -> None:
    scheme = get_scheme(name)
    legal = 0
    for tags in product(scheme.tags(LABELS), repeat=length):
        strict = scheme.encode(read_strictly(tags, theirs, spelling), length) == list(tags)
        lenient = scheme.encode(read_entities(tags), length) == list(tags)
        assert is_legal(scheme, tags) == strict == lenient, tags
        legal += strict
    # The number of ways to place entities of two labels on 1, 2 and 3 tokens.
    assert legal == {1: 3, 2: 11, 3: 41}[length]


@given(tags=st.lists(st.sampled_from(["O", *(f"{p}-{label}" for p in "BIESLU" for label in LABELS)]), max_size=12))
def test_any_tags_read_as_seqeval_reads_them(tags: list[str]) -> None:
    theirs = [(start, end + 1, label) for label, start, end in get_entities(respell(tags, {"L": "E", "U": "S"}))]
    assert read_entities(tags) == theirs


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("I-PER I-PER O I-LOC B-LOC", [(0, 2, "PER"), (3, 4, "LOC"), (4, 5, "LOC")]),
        ("B-PER I-LOC", [(0, 1, "PER"), (1, 2, "LOC")]),
        ("L-PER L-PER", [(0, 1, "PER"), (1, 2, "PER")]),
        ("B-PER O", [(0, 1, "PER")]),
        ("B-work-of-art I-work-of-art", [(0, 2, "work-of-art")]),
    ],
)
def test_read_entities_follows_conlleval(tags: str, expected: list[tuple[int, int, str]]) -> None:
    assert read_entities(iter(tags.split())) == expected


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([(1, 1, "PER")], "does not lie within 4 tokens"),
        ([(2, 1, "PER")], "does not lie within 4 tokens"),
        ([(-1, 1, "PER")], "does not lie within 4 tokens"),
        ([(3, 5, "PER")], "does not lie within 4 tokens"),
        ([(0, 2, "PER"), (1, 3, "LOC")], "overlaps another entity"),
    ],
)
def test_encode_refuses(entities: list[tuple[int, int, str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        get_scheme("BIO").encode([Entity(*entity) for entity in entities], 4)


def test_unknown_scheme_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="'IOB': expected one of BILUO, BIO"):
        get_scheme("IOB")


@schemes
def test_masks_without_labels(name: str) -> None:
    scheme = get_scheme(name)
    for mask in (scheme.starts([]), scheme.ends([]), scheme.transitions([])):
        assert mask.dtype == np.bool_
        assert mask.all()
