"""The k best sequences of a text, and all spans that are probable enough, against enumeration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_bert_ner.decoding import Lattice, k_best, likely_spans, span_posteriors, tags_to_spans, viterbi
from spacy_bert_ner.tags import SCHEMES, get_scheme
from tests.decoding.test_decoding import all_spans, draw_scores, is_legal, lattices, list_legal, quick, scales, seeds

TINY = [Lattice(get_scheme(name), labels) for name in SCHEMES for labels in ((), ("PER",), ("PER", "LOC"))]
tiny = pytest.mark.parametrize("lattice", TINY, ids=lambda x: f"{x.scheme.name}-{len(x.labels)}")


@tiny
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_best_sequences_are_those_of_all_there_are(lattice: Lattice, length: int, temperature: float) -> None:
    scores = draw_scores(lattice, length, 3)
    legal = list_legal(lattice, length) if length else np.zeros((1, 0), dtype=np.int64)
    masses = np.exp(scores[np.arange(length), legal].sum(axis=1) / temperature)
    order = np.argsort(-masses, kind="stable")
    for k in (1, 2, 7, 10_000):
        tags, probabilities = k_best(lattice, scores, k, temperature)
        assert tags.tolist() == legal[order[:k]].tolist()
        np.testing.assert_allclose(probabilities, (masses / masses.sum())[order[:k]], atol=1e-12)
    assert probabilities.sum() == pytest.approx(1.0)


@quick
@given(lattice=st.sampled_from(TINY), length=st.integers(1, 60), seed=seeds, scale=scales, k=st.integers(1, 20))
def test_longer_texts_have_legal_sequences_that_differ(
    lattice: Lattice, length: int, seed: int, scale: float, k: int
) -> None:
    scores = draw_scores(lattice, length, seed, scale)
    tags, probabilities = k_best(lattice, scores, k)
    assert all(is_legal(lattice, own) for own in tags)
    assert len({tuple(own) for own in tags.tolist()}) == len(tags)
    assert (np.diff(probabilities) <= 1e-12).all()
    assert probabilities.sum() <= 1 + 1e-9
    best = viterbi(lattice, scores, [length])
    rows = np.arange(length)
    assert scores[rows, tags[0]].sum() == pytest.approx(scores[rows, best].sum())


@tiny
def test_what_all_sequences_with_an_entity_sum_to_is_its_posterior(lattice: Lattice) -> None:
    scores = draw_scores(lattice, 4, 5)
    tags, probabilities = k_best(lattice, scores, 10_000)
    spans = all_spans(lattice, [4])
    expected = np.zeros(len(spans.label))
    index = {tuple(place): i for i, place in enumerate(np.stack(spans).T[:, 1:].tolist())}
    for own, probability in zip(tags, probabilities, strict=True):
        for place in np.stack(tags_to_spans(lattice, own, [4])).T[:, 1:].tolist():
            expected[index[tuple(place)]] += probability
    np.testing.assert_allclose(span_posteriors(lattice, scores, [4], spans).posterior, expected, atol=1e-12)


@lattices
@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan, 1e308, -1e308])
def test_no_logit_makes_it_fail(lattice: Lattice, value: float) -> None:
    scores = draw_scores(lattice, 30, 3)
    scores[np.random.default_rng(4).random(scores.shape) < 0.5] = value
    tags, probabilities = k_best(lattice, scores, 5)
    assert all(is_legal(lattice, own) for own in tags)
    assert np.isfinite(probabilities).all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    found = likely_spans(lattice, scores, [10, 0, 20], np.full(len(lattice.labels), 0.01), 3)
    assert (found.end - found.start <= 3).all()


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="k is 0: expected at least 1"):
        k_best(TINY[1], np.zeros((3, 3)), 0)
    with pytest.raises(ValueError, match=r"expected \(rows, 3\)"):
        k_best(TINY[1], np.zeros((3, 4)), 1)
    with pytest.raises(ValueError, match=r"expected \(rows, 3\)"):
        likely_spans(TINY[1], np.zeros((3, 4)), [3], np.zeros(1), 3)


@quick
@given(
    lattice=st.sampled_from(TINY),
    lengths=st.lists(st.integers(0, 7), max_size=4),
    seed=seeds,
    scale=scales,
    longest=st.integers(1, 8),
    least=st.sampled_from([0.0, 1e-4, 0.03, 0.4, 1.0]),
)
def test_likely_spans_are_those_of_all_whose_posterior_is_high_enough(
    lattice: Lattice, lengths: list[int], seed: int, scale: float, longest: int, least: float
) -> None:
    scores = draw_scores(lattice, sum(lengths), seed, scale)
    bounds = np.array([least, 2 * least])[: len(lattice.labels)]
    every = all_spans(lattice, lengths)
    posterior = span_posteriors(lattice, scores, lengths, every, 1.3).posterior
    # What lies at the bound up to rounding may go either way.
    distance = posterior - bounds[every.label] if len(bounds) else np.zeros(0)
    short = every.end - every.start <= longest
    sure, possible = (np.stack(every).T[short & (distance >= margin)].tolist() for margin in (1e-12, -1e-12))
    found = np.stack(likely_spans(lattice, scores, lengths, bounds, longest, 1.3)).T.tolist()
    assert found == sorted(found)
    assert {tuple(x) for x in sure} <= {tuple(x) for x in found} <= {tuple(x) for x in possible}
