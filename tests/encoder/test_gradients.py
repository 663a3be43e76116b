"""The gradients of a plain transformer, through windows and batches."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from spacy_bert_ner.encoder.model import get_shim
from tests.encoder.encoders import (
    NO_DROPOUT,
    WORDS,
    as_ours,
    backward,
    check_close,
    doc_of,
    make,
    predict,
    split,
)


def test_gradients_through_several_windows(tiny_bert: Path) -> None:
    model = make(tiny_bert, window=20, stride=10, max_batch_pieces=50, transformer_config=NO_DROPOUT)
    docs = [doc_of(["the", "paris", "of"] * 20), doc_of([]), doc_of(["london"] * 5)]
    rng = np.random.default_rng(0)
    d_vectors = [rng.standard_normal((len(doc), 32)).astype("f") for doc in docs]

    np.random.seed(3)
    found = backward(model, docs, d_vectors)

    # The same cuts by hand: training windows do not overlap, the first one's length is drawn.
    np.random.seed(3)
    first = np.random.randint(9, 19)
    cuts = [0, *range(first, 60, 18), 60]
    reference = AutoModel.from_pretrained(tiny_bert, attn_implementation="eager").eval()
    pieces = get_shim(model).pieces
    parts = [(docs[0], start, end, d_vectors[0]) for start, end in pairwise(cuts)]
    for doc, start, end, d in [*parts, (docs[2], 0, 5, d_vectors[2])]:
        ids = [2, *(i for word in doc[start:end] for i in pieces.encode([word.text], 9).ids), 3]
        hidden = reference(torch.tensor([ids])).last_hidden_state[0, 1:-1]
        hidden.backward(torch.from_numpy(d[start:end]))
    expected = {name: p.grad for name, p in reference.named_parameters() if p.grad is not None}
    check_close(found, as_ours(get_shim(model).encoder.config, expected))


def test_gradients_of_several_batches_add_up(tiny_bert: Path) -> None:
    model = make(tiny_bert, transformer_config=NO_DROPOUT)
    docs = [doc_of(WORDS), doc_of(WORDS[:5])]
    counts = [len(vectors) for vectors in predict(model, docs)]
    d_vectors = [np.ones((count, 32), dtype="f") * np.arange(32, dtype="f") for count in counts]
    together = backward(model, docs, d_vectors)
    other = make(tiny_bert, transformer_config=NO_DROPOUT)
    for doc, d in zip(docs, d_vectors, strict=True):
        apart = backward(other, [doc], [d])
    check_close(apart, together)


@pytest.mark.filterwarnings("ignore:The encoder is not trained")
def test_training_windows_move(tiny_bert: Path) -> None:
    model = make(tiny_bert, window=20, stride=20, transformer_config=NO_DROPOUT)
    doc = doc_of(["the", "paris", "of"] * 20)
    runs = [split(model.begin_update([doc])[0])[0].data for _ in range(4)]
    assert any(np.abs(run - runs[0]).max() > 1e-4 for run in runs[1:])
    np.random.seed(0)
    first = split(model.begin_update([doc])[0])[0].data
    np.random.seed(0)
    np.testing.assert_array_equal(first, split(model.begin_update([doc])[0])[0].data)
