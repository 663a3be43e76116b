"""Training and prediction: dropout, graphs, threads."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spacy_bert_ner.encoder.layout import lay_out
from spacy_bert_ner.encoder.model import get_settings, get_shim
from tests.encoder.encoders import (
    WORDS,
    Encoders,
    doc_of,
    encoder_of,
    long_doc,
    make,
    predict,
    split,
)


@pytest.mark.filterwarnings("ignore:The encoder is not trained")
def test_dropout_in_training_only(tiny_bert: Path) -> None:
    model = make(tiny_bert)
    doc = doc_of(WORDS)
    before = predict(model, [doc])[0]
    trained = [split(model.begin_update([doc])[0])[0].data for _ in range(2)]
    assert np.abs(trained[0] - trained[1]).max() > 1e-2
    assert not any(module.training for module in encoder_of(model).modules())
    np.testing.assert_array_equal(before, predict(model, [doc])[0])


@pytest.mark.parametrize("name", ["bert", "distilbert", "electra", "deberta-v2"])
def test_dropouts_are_set_whatever_the_encoder_calls_them(tiny_encoder: Encoders, name: str) -> None:
    still = make(tiny_encoder(name), hidden_dropout=0.0, attention_dropout=0.0)
    docs = [doc_of(WORDS)]
    first, second = (still.begin_update(docs)[0].data for _ in range(2))
    np.testing.assert_array_equal(first, second)
    lively = make(tiny_encoder(name), hidden_dropout=0.5, attention_dropout=0.0)
    first, second = (lively.begin_update(docs)[0].data for _ in range(2))
    assert np.abs(first - second).max() > 0.1
    with pytest.raises(ValueError, match=r"hidden_dropout = 1\.0: expected a share below 1, or null"):
        make(tiny_encoder(name), hidden_dropout=1.0)


def test_words_are_hidden_in_training_only(tiny_bert: Path) -> None:
    model = make(tiny_bert, hidden_dropout=0.0, attention_dropout=0.0, word_dropout=0.25)
    pieces = get_shim(model).pieces
    doc = long_doc(400)
    seen = lay_out(pieces, get_settings(model), [doc], is_train=False)
    shown = lay_out(pieces, get_settings(model), [doc], is_train=True)
    hidden = shown.ids != seen.ids
    assert set(shown.ids[hidden]) == {pieces.backend.token_to_id("[MASK]")}
    np.testing.assert_array_equal(shown.shapes, seen.shapes)
    # A word is hidden as a whole.
    by_word = np.split(hidden, np.cumsum(shown.counts[0])[:-1])
    assert all(word.all() or not word.any() for word in by_word)
    # Four standard deviations.
    assert abs(np.mean([word.all() for word in by_word]) - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5


def test_stays_in_evaluation_mode_after_an_error(tiny_bert: Path) -> None:
    shim = get_shim(make(tiny_bert))

    def fail(encoder: nn.Module) -> torch.Tensor:
        assert encoder.training
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shim.begin_update(fail)
    assert not any(module.training for module in shim.encoder.modules())


def test_predictions_leave_no_graph(tiny_bert: Path) -> None:
    shim = get_shim(make(tiny_bert))
    ids = torch.tensor([2, 7, 3])
    vectors = shim.predict(lambda encoder: encoder(ids, ids, [3]))
    assert not vectors.requires_grad
    assert vectors.grad_fn is None


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_threads_predict_what_one_does(tiny_bert: Path, precision: str) -> None:
    model = make(tiny_bert, precision=precision)
    docs = [long_doc(length, seed=length) for length in (3, 50, 120, 30, 80, 9, 64, 17)]
    expected = [predict(model, [doc])[0] for doc in docs]
    fresh = make(tiny_bert, precision=precision)
    found: dict[int, list[Any]] = {}

    def work(thread: int) -> None:
        found[thread] = [predict(fresh, [doc])[0] for doc in docs]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 1, 2, 3]
    for results in found.values():
        for vectors, other in zip(results, expected, strict=True):
            np.testing.assert_array_equal(vectors, other)
