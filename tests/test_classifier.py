"""The head: which pieces carry a word's label, and the way back for their gradient."""

import numpy as np
import pytest
import spacy
from spacy.ml.models import build_hash_embed_cnn_tok2vec
from spacy_transformers.data_classes import TransformerData, WordpieceBatch
from thinc.api import get_current_ops
from thinc.types import Ragged
from transformers.file_utils import ModelOutput

from spacy_bert_ner.classifier import (
    build_token_classifier,
    build_transformer_listener,
    resize_output,
    to_rows,
)

# Three tokens: two pieces, none (whitespace in spacy-transformers' alignment), one.
ALIGN = ([1, 2, 4], [2, 0, 1])


def trf_data(hidden: np.ndarray, index: list[int], lengths: list[int]) -> TransformerData:
    align = Ragged(np.array(index, dtype="i"), np.array(lengths, dtype="i"))
    return TransformerData(WordpieceBatch.empty(), ModelOutput(last_hidden_state=hidden[None]), align)


@pytest.fixture
def hidden() -> np.ndarray:
    return np.arange(10, dtype="f").reshape(5, 2) + 1


@pytest.mark.parametrize(
    ("pieces", "rows", "lengths"),
    [
        ("first", [[3, 4], [0, 0], [9, 10]], [1, 1, 1]),
        ("mean", [[4, 5], [0, 0], [9, 10]], [1, 1, 1]),
        ("all", [[3, 4], [5, 6], [0, 0], [9, 10]], [2, 1, 1]),
    ],
)
def test_rows_of_each_setting(hidden, pieces, rows, lengths):
    output = to_rows(pieces).predict([trf_data(hidden, *ALIGN)])
    assert output.dataXd.tolist() == rows
    assert output.lengths.tolist() == lengths


@pytest.mark.parametrize("pieces", ["first", "mean", "all"])
def test_gradient_equals_finite_differences(hidden, pieces):
    model = to_rows(pieces)
    weights = np.random.RandomState(0).normal(size=(4, 2)).astype("f")

    def loss(values: np.ndarray) -> float:
        rows = model.predict([trf_data(values, *ALIGN), TransformerData.empty()]).dataXd
        return float((rows * weights[: len(rows)]).sum())

    rows, backprop = model.begin_update([trf_data(hidden, *ALIGN), TransformerData.empty()])
    (d_data,) = backprop(Ragged(weights[: len(rows.dataXd)].copy(), rows.lengths))
    numeric = np.zeros_like(hidden)
    for at in np.ndindex(hidden.shape):
        step = np.zeros_like(hidden)
        step[at] = 1.0
        numeric[at] = (loss(hidden + step) - loss(hidden - step)) / 2
    np.testing.assert_allclose(d_data.model_output["last_hidden_state"][0], numeric, atol=1e-3)


def test_an_empty_document_gives_no_rows_and_wants_no_gradient(hidden):
    rows, backprop = to_rows("first").begin_update([TransformerData.empty(), trf_data(hidden, *ALIGN)])
    assert rows.lengths.tolist() == [1, 1, 1]
    assert len(backprop(rows)) == 1


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
    with pytest.raises(ValueError, match="pieces = 'all' needs the word pieces of a transformer") as error:
        build_token_classifier(cnn(), pieces="all")
    assert "spacy-bert-ner.TransformerListener.v1" in str(error.value)


def test_an_unknown_setting_is_named():
    with pytest.raises(ValueError, match="pieces = 'last': expected one of first, mean, all"):
        build_token_classifier(build_transformer_listener(), pieces="last")  # type: ignore[arg-type]


def test_new_outputs_are_appended_and_old_ones_kept():
    model = build_token_classifier(cnn(), nO=3)
    docs = [spacy.blank("en")("Some words here")]
    model.initialize(X=docs)
    before = model.predict(docs).dataXd
    resize_output(model, 5)
    after = get_current_ops().to_numpy(model.predict(docs).dataXd)
    assert after.shape == (3, 5)
    np.testing.assert_allclose(after[:, :3], before, atol=1e-6)
