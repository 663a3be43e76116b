"""Losses against brute force over all legal sequences, and their gradients against finite differences."""

from itertools import pairwise

import numpy as np
import pytest

from spacy_bert_ner.decoding import Lattice
from spacy_bert_ner.ner.losses import sequence_loss, token_loss
from spacy_bert_ner.tags import get_scheme
from tests.decoding.test_decoding import SMALL, draw_scores, list_legal, total

lattices = pytest.mark.parametrize("lattice", SMALL, ids=lambda x: f"{x.scheme.name}-{len(x.labels)}")


def slope(loss, scores, step=1e-5):
    """Central differences. RETURNS: As scores."""
    found = np.zeros_like(scores)
    for at in np.ndindex(*scores.shape):
        shift = np.zeros_like(scores)
        shift[at] = step
        found[at] = (loss(scores + shift) - loss(scores - shift)) / (2 * step)
    return found


def likelihood(lattice, scores, gold):
    """Of the gold tags, by listing the legal sequences."""
    legal = list_legal(lattice, len(scores))
    masses = np.exp([total(scores, tags) for tags in legal])
    agrees = ((legal == gold) | (gold < 0)).all(axis=1)
    return masses[agrees].sum() / masses.sum()


@lattices
@pytest.mark.parametrize("missing", [0.0, 0.4, 1.0])
def test_the_sequence_loss_is_the_likelihood_among_legal_sequences(lattice: Lattice, missing: float) -> None:
    rng = np.random.default_rng(1)
    sizes = np.array([2, 0, 4, 1, 3])
    scores = draw_scores(lattice, 10, 2)
    gold = np.concatenate([rng.choice(list_legal(lattice, n)) for n in sizes if n])
    gold[rng.random(10) < missing] = -1
    bounds = np.cumsum([0, *sizes])
    parts = [likelihood(lattice, scores[a:b], gold[a:b]) for a, b in pairwise(bounds) if a < b]
    loss, gradient = sequence_loss(lattice, scores, sizes, gold)
    assert loss == pytest.approx(-np.log(parts).sum() / max((gold >= 0).sum(), 1), abs=1e-12)
    wanted = slope(lambda moved: sequence_loss(lattice, moved, sizes, gold)[0], scores)
    np.testing.assert_allclose(gradient, wanted, atol=1e-8)


def test_gold_tags_that_break_the_rules_give_a_finite_loss() -> None:
    lattice = Lattice(get_scheme("BIO"), ("PER",))
    loss, gradient = sequence_loss(lattice, draw_scores(lattice, 3, 0), np.array([3]), np.array([0, 2, 0]))
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()


def test_the_token_loss_equals_pytorchs() -> None:
    import torch

    scores, gold = np.random.default_rng(0).normal(scale=3, size=(12, 5)), np.arange(12) % 6 - 1
    loss, gradient = token_loss(scores, gold)
    given = torch.tensor(scores, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(given, torch.tensor(gold), ignore_index=-1)
    expected.backward()
    assert loss == pytest.approx(expected.item())
    np.testing.assert_allclose(gradient, given.grad.numpy(), atol=1e-12)
