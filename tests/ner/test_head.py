"""The head: which pieces carry a word's label, and the way back for their gradient."""

import numpy as np
import pytest
import spacy
from spacy.ml.models import build_hash_embed_cnn_tok2vec
from thinc.api import get_current_ops
from thinc.types import Ragged

from spacy_bert_ner.encoder.vectors import PieceVectors
from spacy_bert_ner.ner.head import build_token_classifier, resize_output, to_rows

# Two documents of one and two tokens: one piece, two, one; and one without tokens between them.
LENGTHS = ([1, 2, 1], [1, 0, 2])


def vectors(data: np.ndarray) -> PieceVectors:
    pieces, tokens = (np.array(numbers) for numbers in LENGTHS)
    return PieceVectors(data, pieces, tokens)


@pytest.fixture
def data() -> np.ndarray:
    return np.arange(8, dtype="f").reshape(4, 2) + 1


@pytest.mark.parametrize(
    ("pieces", "rows", "lengths"),
    [
        ("first", [[1, 2], [3, 4], [7, 8]], [1, 1, 1]),
        ("mean", [[1, 2], [4, 5], [7, 8]], [1, 1, 1]),
        ("all", [[1, 2], [3, 4], [5, 6], [7, 8]], [1, 2, 1]),
    ],
)
def test_rows_of_each_setting(data, pieces, rows, lengths):
    output = to_rows(pieces).predict(vectors(data))
    assert output.dataXd.tolist() == rows
    assert output.lengths.tolist() == lengths


@pytest.mark.parametrize("pieces", ["first", "mean", "all"])
def test_gradient_equals_finite_differences(data, pieces):
    model = to_rows(pieces)
    weights = np.random.RandomState(0).normal(size=(4, 2)).astype("f")

    def loss(values: np.ndarray) -> float:
        rows = model.predict(vectors(values)).dataXd
        return float((rows * weights[: len(rows)]).sum())

    rows, backprop = model.begin_update(vectors(data))
    found = backprop(Ragged(weights[: len(rows.dataXd)].copy(), rows.lengths))
    numeric = np.zeros_like(data)
    for at in np.ndindex(data.shape):
        step = np.zeros_like(data)
        step[at] = 1.0
        numeric[at] = (loss(data + step) - loss(data - step)) / 2
    np.testing.assert_allclose(found.data, numeric, atol=1e-3)
    assert found.tokens.tolist() == LENGTHS[1]


def test_vectors_of_any_tok2vec_are_rows_as_they_are():
    arrays = [np.ones((2, 3), dtype="f"), np.zeros((0, 3), dtype="f"), np.full((1, 3), 2, dtype="f")]
    rows, backprop = to_rows("first").begin_update(arrays)
    assert rows.dataXd.shape == (3, 3)
    assert [len(d) for d in backprop(rows)] == [2, 0, 1]


def cnn():
    return build_hash_embed_cnn_tok2vec(
        width=16,
        depth=1,
        embed_size=100,
        window_size=1,
        maxout_pieces=2,
        subword_features=True,
        pretrained_vectors=None,
    )


def test_all_pieces_are_refused_where_there_are_none():
    with pytest.raises(ValueError, match="pieces = 'all' needs the word pieces of an encoder") as error:
        build_token_classifier(cnn(), pieces="all")
    assert "spacy-bert-ner.Encoder.v1" in str(error.value)


def test_an_unknown_setting_is_named():
    with pytest.raises(ValueError, match=r"\] pieces = 'last': expected one of 'first', 'mean', 'all'"):
        build_token_classifier(cnn(), pieces="last")


def test_new_outputs_are_appended_and_old_ones_kept():
    model = build_token_classifier(cnn(), nO=3)
    docs = [spacy.blank("en")("Some words here")]
    model.initialize(X=docs)
    before = model.predict(docs).dataXd
    resize_output(model, 5)
    after = get_current_ops().to_numpy(model.predict(docs).dataXd)
    assert after.shape == (3, 5)
    np.testing.assert_allclose(after[:, :3], before, atol=1e-6)
