"""Decoding against brute force over all legal sequences, and against the textbook's loops over tags x tags."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spacy_bert_ner.decoding import Lattice, Posteriors, Spans, span_posteriors, tags_to_spans, viterbi
from spacy_bert_ner.tags import Entity, get_scheme, read_entities

# IOBES is BILUO by other letters.
NAMES = ("BILUO", "BIO")
Array = NDArray[np.float64]
LATTICES = [
    Lattice(get_scheme(name), labels)
    for name in NAMES
    for labels in ((), ("PER",), ("PER", "LOC"), ("PER", "LOC", "ORG", "MISC"), tuple("ABCDEFGHIJK"))
]
SMALL = [lattice for lattice in LATTICES if len(lattice.labels) < 3]
BIO = Lattice(get_scheme("BIO"), ("PER", "LOC"))
lattices = pytest.mark.parametrize("lattice", LATTICES, ids=lambda x: f"{x.scheme.name}-{len(x.labels)}")
quick = settings(max_examples=60)
scales = st.sampled_from([0.0, 0.1, 1.0, 5.0, 20.0])
seeds = st.integers(0, 2**32 - 1)


def draw_scores(lattice: Lattice, rows: int, seed: int, scale: float = 3.0) -> Array:
    return np.random.default_rng(seed).normal(scale=scale, size=(rows, len(lattice.tags)))


def list_legal(lattice: Lattice, length: int) -> NDArray[np.int64]:
    """Every legal sequence. RETURNS: (sequences, length)."""
    encode, index = lattice.scheme.encode, {tag: i for i, tag in enumerate(lattice.tags)}
    every = product(lattice.tags, repeat=length)
    legal = [tags for tags in every if encode(read_entities(tags), length) == list(tags)]
    return np.array([[index[tag] for tag in tags] for tags in legal], dtype=np.int64).reshape(-1, length)


def all_spans(lattice: Lattice, lengths: list[int]) -> Spans:
    rows = [
        (sequence, start, end, label)
        for sequence, length in enumerate(lengths)
        for start, end in combinations(range(length + 1), 2)
        for label in range(len(lattice.labels))
    ]
    return Spans(*np.array(rows, dtype=np.int64).reshape(-1, 4).T)


def is_legal(lattice: Lattice, tags: NDArray[np.int64]) -> bool:
    names = [lattice.tags[tag] for tag in tags]
    return lattice.scheme.encode(read_entities(names), len(names)) == names


def total(scores: Array, tags: NDArray[np.int64]) -> float:
    return float(scores[np.arange(len(tags)), tags].sum())


def textbook(lattice: Lattice, scores: Array, reduce: np.ufunc) -> tuple[Array, Array]:
    """Forward and backward over tags x tags in log space. RETURNS: (rows, tags) each; backward leaves out the row's."""
    allowed = np.where(lattice.transitions, 0.0, -np.inf)
    forward, backward = np.zeros_like(scores), np.zeros_like(scores)
    forward[0] = np.where(lattice.starts, scores[0], -np.inf)
    for i in range(1, len(scores)):
        forward[i] = scores[i] + reduce.reduce(forward[i - 1][:, None] + allowed, axis=0)
    backward[-1] = np.where(lattice.ends, 0.0, -np.inf)
    for i in reversed(range(len(scores) - 1)):
        backward[i] = reduce.reduce(allowed + scores[i + 1] + backward[i + 1], axis=1)
    return forward, backward


@quick
@given(
    lattice=st.sampled_from(SMALL), length=st.integers(1, 4), seed=seeds, scale=scales, temperature=st.floats(0.4, 4)
)
def test_best_sequence_and_posteriors_equal_brute_force(
    lattice: Lattice, length: int, seed: int, scale: float, temperature: float
) -> None:
    scores, legal, spans = (
        draw_scores(lattice, length, seed, scale),
        list_legal(lattice, length),
        all_spans(lattice, [length]),
    )
    sums = scores[np.arange(length), legal].sum(axis=1)
    best = viterbi(lattice, scores, [length])
    assert best.tolist() in legal.tolist()
    assert total(scores, best) == pytest.approx(sums.max(), abs=1e-9)

    chances = np.exp((sums - sums.max()) / temperature)
    chances /= chances.sum()
    holds = [set(read_entities([lattice.tags[tag] for tag in tags])) for tags in legal]
    expected = np.array(
        [
            [sum(chances[[Entity(start, end, name) in entities for entities in holds]]) for name in lattice.labels]
            for _, start, end, _ in zip(*spans, strict=True)
        ]
    ).reshape(len(spans.label), len(lattice.labels))
    found = span_posteriors(lattice, scores, [length], spans, temperature)
    np.testing.assert_allclose(found.by_label, expected, atol=1e-12)
    # What covers a token, or nothing does, sums to one.
    for token in range(length):
        covering = (spans.start <= token) & (token < spans.end)
        assert found.posterior[covering].sum() + chances[legal[:, token] == 0].sum() == pytest.approx(1)


@quick
@given(lattice=st.sampled_from(LATTICES), length=st.integers(1, 70), seed=seeds, scale=scales, ties=st.booleans())
def test_longer_texts_equal_the_textbook(lattice: Lattice, length: int, seed: int, scale: float, ties: bool) -> None:
    scores = draw_scores(lattice, length, seed, scale)
    if ties:
        scores = np.round(scores)
    forward, _ = textbook(lattice, scores, np.maximum)
    best = viterbi(lattice, scores, [length])
    assert is_legal(lattice, best)
    assert total(scores, best) == pytest.approx(np.max(forward[-1], where=lattice.ends, initial=-np.inf), abs=1e-8)

    forward, backward = textbook(lattice, scores, np.logaddexp)
    outside = np.exp(forward[:, 0] + backward[:, 0] - np.logaddexp.reduce(forward[-1] + backward[-1]))
    spans = all_spans(lattice, [length])
    found = span_posteriors(lattice, scores, [length], spans).posterior
    covered = np.zeros(length + 1)
    np.add.at(covered, spans.start, found)
    np.add.at(covered, spans.end, -found)
    np.testing.assert_allclose(np.cumsum(covered)[:-1] + outside, 1.0, atol=1e-9)


@lattices
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batched_equals_single_to_the_bit(lattice: Lattice, dtype: str) -> None:
    lengths = [0, 1, 5, 300, 0, 17, 16, 64, 2, 130, 8, 9, 33, 0]
    scores = draw_scores(lattice, sum(lengths), 1).astype(dtype)
    tags = viterbi(lattice, scores, lengths)
    spans = tags_to_spans(lattice, tags, lengths)
    found = span_posteriors(lattice, scores, lengths, spans, 1.3)
    bounds = np.append(0, np.cumsum(lengths))
    for i, length in enumerate(lengths):
        alone, rows = slice(bounds[i], bounds[i + 1]), spans.sequence == i
        np.testing.assert_array_equal(viterbi(lattice, scores[alone], [length]), tags[alone])
        own = tags_to_spans(lattice, tags[alone], [length])
        for field, expected in zip(own[1:], spans[1:], strict=True):
            np.testing.assert_array_equal(field, expected[rows])
        np.testing.assert_array_equal(
            span_posteriors(lattice, scores[alone], [length], own, 1.3).by_label, found.by_label[rows]
        )


@lattices
def test_spans_are_the_entities_that_tags_spell(lattice: Lattice) -> None:
    lengths = [3, 0, 40, 1, 0]
    tags = viterbi(lattice, draw_scores(lattice, 44, 2), lengths)
    spans = tags_to_spans(lattice, tags, lengths)
    expected = [
        (sequence, *entity)
        for sequence, part in enumerate(np.split(tags, np.cumsum(lengths)[:-1]))
        for entity in read_entities(lattice.tags[tag] for tag in part)
    ]
    assert [(s, start, end, lattice.labels[label]) for s, start, end, label in zip(*spans, strict=True)] == expected


@lattices
def test_no_text(lattice: Lattice) -> None:
    scores = np.zeros((0, len(lattice.tags)), dtype="f")
    for lengths in ([], [0], [0, 0]):
        tags = viterbi(lattice, scores, lengths)
        spans = tags_to_spans(lattice, tags, lengths)
        assert tags.shape == spans.start.shape == (0,)
        assert span_posteriors(lattice, scores, lengths, spans).by_label.shape == (0, len(lattice.labels))


@lattices
@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan, 1e30, -1e30, 1e308, -1e308])
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_no_score_makes_decoding_fail(lattice: Lattice, value: float, share: float) -> None:
    lengths = [60, 1, 2, 37]
    scores = draw_scores(lattice, 100, 3)
    scores[np.random.default_rng(4).random(scores.shape) < share] = value
    tags = viterbi(lattice, scores, lengths)
    for part in np.split(tags, np.cumsum(lengths)[:-1]):
        assert is_legal(lattice, part)
    spans = all_spans(lattice, [6, 1, 2, 6])
    for temperature in (1e-6, 1.0, 1e6):
        found = span_posteriors(lattice, scores, lengths, spans, temperature).by_label
        assert np.isfinite(found).all()
        assert ((found >= 0) & (found <= 1)).all()


@lattices
@pytest.mark.parametrize("value", [-np.inf, np.nan, -1e30])
def test_forbidden_tags_are_avoided_where_they_can_be(lattice: Lattice, value: float) -> None:
    scores = draw_scores(lattice, 50, 5)
    forbidden = np.random.default_rng(6).random(scores.shape) < 0.3
    forbidden[:, 0] = False
    scores[forbidden] = value
    tags = viterbi(lattice, scores, [50])
    assert not forbidden[np.arange(50), tags].any()
    forward, _ = textbook(lattice, np.where(forbidden, -np.inf, scores), np.maximum)
    assert total(scores, tags) == pytest.approx(np.max(forward[-1], where=lattice.ends, initial=-np.inf))
    if lattice.labels:
        single = lattice.columns(lattice.scheme.single)
        found = span_posteriors(
            lattice, scores, [50], Spans(np.zeros(50, int), np.arange(50), np.arange(1, 51), np.zeros(50, int))
        )
        np.testing.assert_array_less(found.by_label[forbidden[:, single]], 1e-80)


def test_huge_scores_win() -> None:
    scores = np.zeros((3, 5), dtype="f")
    scores[0, BIO.tags.index("B-LOC")] = scores[1, BIO.tags.index("I-LOC")] = scores[2, 0] = 1e30
    tags = viterbi(BIO, scores, [3])
    assert [BIO.tags[tag] for tag in tags] == ["B-LOC", "I-LOC", "O"]
    assert span_posteriors(BIO, scores, [3], tags_to_spans(BIO, tags, [3])).posterior.tolist() == [1.0]


def test_what_must_be_illegal_still_yields_the_best_of_the_rest() -> None:
    # Every token insists on I-PER, which cannot stand first.
    scores = np.full((4, 5), -np.inf)
    scores[:, BIO.tags.index("I-PER")] = 0.0
    tags = viterbi(BIO, scores, [4])
    assert is_legal(BIO, tags)
    # Of the first token nothing legal is known; each of the others can have what it wants behind B-PER alone.
    assert [BIO.tags[tag] for tag in tags] == ["B-PER", "I-PER", "I-PER", "I-PER"]
    assert span_posteriors(BIO, scores, [4], tags_to_spans(BIO, tags, [4])).posterior == pytest.approx([1.0])


@pytest.mark.parametrize("scale", [0.0, 1.0, 50.0])
@pytest.mark.parametrize("scheme", NAMES)
def test_a_hundred_thousand_tokens(scheme: str, scale: float) -> None:
    lattice, rows = Lattice(get_scheme(scheme), ("PER", "LOC", "ORG", "MISC")), 100_000
    scores = draw_scores(lattice, rows, 7, scale)
    tags = viterbi(lattice, scores, [rows])
    spans = tags_to_spans(lattice, tags, [rows])
    assert is_legal(lattice, tags)
    found = span_posteriors(lattice, scores, [rows], spans).by_label
    assert np.isfinite(found).all()
    # Far from its ends a text's length makes no difference.
    middle = (spans.start > 50_040) & (spans.end < 50_160)
    near = Spans(spans.sequence[middle], spans.start[middle] - 50_000, spans.end[middle] - 50_000, spans.label[middle])
    part = span_posteriors(lattice, scores[50_000:50_200], [200], near).by_label
    np.testing.assert_allclose(found[middle], part, atol=1e-6)


def test_one_entity_as_long_as_the_text() -> None:
    rows = 20_000
    scores = np.zeros((rows, 5))
    scores[0, BIO.tags.index("B-PER")] = scores[1:, BIO.tags.index("I-PER")] = 20.0
    scores[rows // 2] = 0.0
    scores[rows // 2, BIO.tags.index("I-PER")] = 1.0
    tags = viterbi(BIO, scores, [rows])
    assert [field.tolist() for field in tags_to_spans(BIO, tags, [rows])] == [[0], [0], [rows], [0]]
    # One token is in doubt: B-PER there, and two entities, is worth 1 less; whatever else, 20 less.
    chance = span_posteriors(BIO, scores, [rows], Spans([0], [0], [rows], [0])).posterior[0]
    assert chance == pytest.approx(np.e / (np.e + 1), abs=1e-3)


def test_a_row_s_level_does_not_matter() -> None:
    scores = draw_scores(BIO, 30, 8)
    moved = scores + np.random.default_rng(9).normal(scale=100, size=(30, 1))
    tags = viterbi(BIO, scores, [30])
    spans = tags_to_spans(BIO, tags, [30])
    np.testing.assert_array_equal(viterbi(BIO, moved, [30]), tags)
    np.testing.assert_allclose(
        span_posteriors(BIO, moved, [30], spans).by_label, span_posteriors(BIO, scores, [30], spans).by_label
    )


def test_scores_are_left_as_they_are() -> None:
    scores = draw_scores(BIO, 30, 10)
    kept = scores.copy()
    span_posteriors(BIO, scores, [30], tags_to_spans(BIO, viterbi(BIO, scores, [30]), [30]))
    np.testing.assert_array_equal(scores, kept)


def test_runner_up_and_any_label() -> None:
    found = Posteriors(np.array([0, 1, 1]), np.array([[0.6, 0.1, 0.2], [0.5, 0.3, 0.1], [0.1, 0.9, 0.1]]))
    labels, chances = found.runner_up
    assert labels.tolist() == [2, 0, 0]
    assert chances.tolist() == [0.2, 0.5, 0.1]
    assert found.posterior.tolist() == [0.6, 0.3, 0.9]
    assert found.any_label == pytest.approx([0.9, 0.9, 1.0])


def test_one_label_has_no_runner_up() -> None:
    labels, chances = Posteriors(np.array([0]), np.array([[0.6]])).runner_up
    assert labels.tolist() == [-1]
    assert chances.tolist() == [0.0]


@pytest.mark.parametrize(
    ("columns", "lengths", "span", "temperature", "message"),
    [
        (4, [3], (0, 0, 1, 0), 1.0, r"expected \(rows, 5\)"),
        (5, [2], (0, 0, 1, 0), 1.0, "lengths sum to 2: expected the 3 rows"),
        (5, [4, -1], (0, 0, 1, 0), 1.0, "none below 0"),
        (5, [3], (1, 0, 1, 0), 1.0, "not among"),
        (5, [3], (0, 0, 1, 2), 1.0, "not among"),
        (5, [3], (0, 1, 1, 0), 1.0, "empty or leaves"),
        (5, [3], (0, 2, 4, 0), 1.0, "empty or leaves"),
        (5, [3], (0, 0, 1, 0), 0.0, "above 0"),
        (5, [3], (0, 0, 1, 0), np.nan, "above 0"),
    ],
)
def test_misuse_is_refused(columns: int, lengths: list[int], span: tuple, temperature: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        span_posteriors(BIO, np.zeros((3, columns)), lengths, Spans(*([value] for value in span)), temperature)


@quick
@given(seed=seeds, offset=st.floats(-3, 3))
def test_a_shift_multiplies_the_mass_of_the_sequences_that_hold_the_entity(seed: int, offset: float) -> None:
    scores, spans = draw_scores(BIO, 3, seed), all_spans(BIO, [3])
    found = span_posteriors(BIO, scores, [3], spans)
    shifted = found.shift(np.array([0.0, offset]))
    legal = list_legal(BIO, 3)
    held = [{(e.start, e.end, e.label) for e in read_entities([BIO.tags[t] for t in tags])} for tags in legal]
    masses = np.exp([total(scores, tags) for tags in legal])
    for i, (_, start, end, label) in enumerate(zip(*spans, strict=True)):
        wanted = (start, end, BIO.labels[label])
        own = masses * np.exp([offset if wanted in one and label == 1 else 0.0 for one in held])
        by_label = [own[[(start, end, name) in one for one in held]].sum() / own.sum() for name in BIO.labels]
        np.testing.assert_allclose(shifted.by_label[i], by_label, atol=1e-12)
    np.testing.assert_array_equal(found.shift(np.zeros(2)).by_label, found.by_label)
