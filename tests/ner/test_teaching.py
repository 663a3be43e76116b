"""What a component learns from another model: losses against torch's and against all legal sequences."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.types import Ragged

from spacy_bert_ner.decoding import Lattice
from spacy_bert_ner.ner.losses import loss_of_rows
from spacy_bert_ner.ner.soft_losses import soft_sequence_loss, soft_token_loss
from spacy_bert_ner.ner.teacher import translate_tags
from spacy_bert_ner.ner.teaching import Batch, Distilling
from spacy_bert_ner.tags import get_scheme
from tests.decoding.test_decoding import SMALL, draw_scores, list_legal, total
from tests.ner.test_losses import lattices, slope

SIZES = [2, 0, 4, 1, 3]
EXAMPLES = [Example(doc, doc) for doc in (Doc(Vocab(), words=["word"] * size) for size in SIZES)]


def softmax(scores: Any) -> Any:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sequence_probabilities(lattice: Lattice, scores: Any) -> Any:
    """Of all legal sequences, in the order of list_legal."""
    return softmax(np.array([total(scores, tags) for tags in list_legal(lattice, len(scores))]))


def posteriors(lattice: Lattice, scores: Any) -> Any:
    """Of the tags, by listing all legal sequences. (rows, tags)"""
    probabilities = sequence_probabilities(lattice, scores)
    onehot = np.eye(len(lattice.tags))[list_legal(lattice, len(scores))]
    return np.einsum("s,srt->rt", probabilities, onehot)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_the_soft_token_loss_equals_pytorchs(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits, teacher, weights = rng.normal(scale=3, size=(7, 5)), rng.normal(scale=3, size=(7, 5)), rng.random(7)
    found, gradient = soft_token_loss(logits, softmax(teacher / temperature), weights, temperature)
    given = torch.tensor(logits, requires_grad=True)
    targets = torch.softmax(torch.tensor(teacher) / temperature, 1)
    by_row = torch.nn.functional.cross_entropy(given / temperature, targets, reduction="none")
    expected = (by_row * torch.tensor(weights)).sum() * temperature**2
    expected.backward()
    assert found == pytest.approx(expected.item())
    assert given.grad is not None
    np.testing.assert_allclose(gradient, given.grad.numpy(), atol=1e-12)


@lattices
@pytest.mark.parametrize("temperature", [2.0])
def test_the_soft_sequence_loss_is_the_cross_entropy_over_legal_sequences(lattice: Lattice, temperature: float) -> None:
    scores, teacher = draw_scores(lattice, 10, 2), draw_scores(lattice, 10, 3)
    weights, bounds = np.array([0.5, 1.0, 2.0, 0.0, 1.0]), np.cumsum([0, *SIZES])
    expected, targets = 0.0, np.zeros_like(scores)
    for weight, (a, b) in zip(weights, pairwise(bounds), strict=True):
        if a == b:
            continue
        ours, theirs = (sequence_probabilities(lattice, each[a:b] / temperature) for each in (scores, teacher))
        expected -= weight * float(theirs @ np.log(ours)) * temperature**2
        targets[a:b] = posteriors(lattice, teacher[a:b] / temperature)

    def loss(moved: Any) -> float:
        return soft_sequence_loss(lattice, moved, np.array(SIZES), targets, weights, temperature)[0]

    found, gradient = soft_sequence_loss(lattice, scores, np.array(SIZES), targets, weights, temperature)
    assert found == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(gradient, slope(loss, scores), atol=1e-7)


def draw_batch(lattice: Lattice, loss: Any, logits: Any, gold: Any, rows_of_batch: Any = int) -> Batch:
    return Batch(loss, lattice, Ragged(logits, np.ones(len(logits), "i")), EXAMPLES, gold, rows_of_batch)


@pytest.mark.parametrize("loss", ["token", "sequence"])
@pytest.mark.parametrize("match", ["tags", "sequences"])
@pytest.mark.parametrize(("scheme", "weight"), [("BIO", 0.7), ("BILUO", 1.0)])
def test_distillation_weighs_the_teacher_against_gold_tags_where_there_are_some(
    loss: Any, match: Any, scheme: str, weight: float
) -> None:
    lattice = lattice_of(scheme, ["PER"])
    rng = np.random.default_rng(4)
    scores, teacher = draw_scores(lattice, 10, 2), draw_scores(lattice, 10, 3)
    gold = np.concatenate([rng.choice(list_legal(lattice, n)) for n in SIZES if n])
    # The third document has no annotation, the last one not all.
    gold[2:6] = gold[9] = -1
    rows = np.ones(10, "i")

    def learn(moved: Any) -> tuple[float, Any]:
        distilling = Distilling(lambda examples, wanted: teacher, weight, 2.0, match)
        found, gradient = distilling.learn(draw_batch(lattice, loss, moved, gold))
        return found, gradient.dataXd

    with_gold = loss_of_rows(loss, lattice, Ragged(scores, rows), SIZES, gold, lambda _: 10)[0]
    expected = (1 - weight) * with_gold
    for a, b in pairwise(np.cumsum([0, *SIZES])):
        if a == b:
            continue
        if match == "tags":
            entropy = -(softmax(teacher[a:b] / 2) * np.log(softmax(scores[a:b] / 2))).sum()
        else:
            ours, theirs = (sequence_probabilities(lattice, each[a:b] / 2) for each in (scores, teacher))
            entropy = -float(theirs @ np.log(ours))
        expected += (weight if (gold[a:b] >= 0).any() else 1.0) * 4 * entropy / 10
    found, gradient = learn(scores)
    assert found == pytest.approx(expected)
    np.testing.assert_allclose(gradient, slope(lambda moved: learn(moved)[0], scores), atol=1e-7)


def test_a_part_of_a_batch_is_divided_by_the_whole() -> None:
    lattice = SMALL[0]
    scores, gold = draw_scores(lattice, 10, 2), np.full(10, -1)
    asked: list[int] = []

    def rows_of_batch(rows: int) -> int:
        asked.append(rows)
        return 40

    distilling = Distilling(lambda examples, wanted: scores)
    alone, _ = distilling.learn(draw_batch(lattice, "token", scores, gold))
    part, _ = distilling.learn(draw_batch(lattice, "token", scores, gold, rows_of_batch))
    assert part == pytest.approx(alone / 4)
    # Several processes count on being asked once.
    assert asked == [10]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"weight": 1.5}, "weight = 1.5: expected a number from 0 to 1"),
        ({"temperature": 0}, "temperature = 0: expected a number above 0"),
        ({"match": "spans"}, "match = 'spans': expected one of 'tags', 'sequences'"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Distilling(lambda examples, wanted: np.zeros((0, 0)), **settings)


def lattice_of(scheme: str, labels: Sequence[str]) -> Lattice:
    return Lattice(get_scheme(scheme), tuple(labels))


@pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
def test_distributions_are_translated_by_name(scheme: str) -> None:
    theirs, ours = lattice_of(scheme, ["LOC", "MISC", "PER"]), lattice_of(scheme, ["PER", "DATE", "LOC"])
    probabilities = np.random.default_rng(0).dirichlet(np.ones(len(theirs.tags)), size=6)
    found = np.exp(translate_tags(np.log(probabilities).astype("f"), theirs, ours))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    by_name = dict(zip(theirs.tags, probabilities.T, strict=True))
    for tag, column in zip(ours.tags, found.T, strict=True):
        expected = by_name.get(tag, np.zeros(6))
        if tag == "O":
            # What is only the teacher's is outside to the student.
            expected = expected + sum(each for name, each in by_name.items() if name.endswith("-MISC"))
        np.testing.assert_allclose(column, expected, rtol=1e-5)


def test_another_tag_scheme_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"scheme is BIO, the component's BILUO.*set scheme = \"BIO\""):
        translate_tags(np.zeros((1, 3), "f"), lattice_of("BIO", ["PER"]), lattice_of("BILUO", ["PER"]))
