"""The document memory: against brute force, and what it must leave alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from thinc.api import Model, fix_random_seed
from torch import Tensor

from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.encoder.network.memory import DocumentMemory, MeanOfOthers
from spacy_bert_ner.encoder.pieces import WordPieces
from spacy_bert_ner.encoder.recurrences import Recurrences, find_recurrences
from tests.encoder.encoders import (
    NO_DROPOUT,
    Encoders,
    backward,
    check_close,
    doc_of,
    encoder_of,
    long_doc,
    make,
    predict,
    split,
)

Words = list[list[str]]
TEXTS = st.lists(st.lists(st.sampled_from(["a", "A", "b", ",", "\n", "ﬁ", "c"]), max_size=9), max_size=4)


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    fix_random_seed(0)


def recurrences(texts: Words, pieces: Callable[[int], int]) -> tuple[Recurrences, list[np.ndarray], list[np.ndarray]]:
    counts = [np.array([pieces(i) for i in range(len(words))], dtype=np.int64) for words in texts]
    ends = np.cumsum([0, *map(sum, counts)])[:-1]
    offsets = [
        start + np.concatenate([[0], np.cumsum(own)]).astype(int) for start, own in zip(ends, counts, strict=True)
    ]
    known: dict[str, int] = {}
    folded = [known.setdefault(word.lower(), len(known)) for words in texts for word in words]
    tokens = np.array([len(words) for words in texts], dtype=np.int64)
    starts = np.concatenate([*(own[:-1] for own in offsets), np.zeros(0, dtype=np.int64)]).astype(np.int64)
    every = np.concatenate([*counts, np.zeros(0, dtype=np.int64)])
    return find_recurrences(np.array(folded, dtype=np.int64), tokens, starts, every), offsets, counts


def remember(vectors: Tensor, memory: DocumentMemory, texts: Words, offsets: Any) -> Tensor:
    """The formula of the module's docstring, word by word."""
    rows = list(vectors)
    for words, own in zip(texts, offsets, strict=True):
        for i, word in enumerate(words):
            others = [own[j] for j, other in enumerate(words) if j != i and other.lower() == word.lower()]
            if others:
                told = torch.cat([vectors[own[i]], vectors[others].mean(0)])
                added = memory.add(torch.nn.functional.gelu(memory.compare(told)))
                for piece in range(own[i], own[i + 1]):
                    rows[piece] = rows[piece] + added
    return torch.stack(rows) if rows else vectors


@given(texts=TEXTS, pieces=st.integers(1, 3), most=st.integers(1, 20))
def test_it_equals_the_formula_with_gradients(texts: Words, pieces: int, most: int) -> None:
    found, offsets, counts = recurrences(texts, lambda i: 1 + i % pieces)
    memory = DocumentMemory(4)
    memory.initialize()
    torch.nn.init.normal_(memory.add.weight)
    vectors = torch.randn(sum(map(sum, counts)), 4, requires_grad=True)
    results = []
    for told in (memory(vectors, found, most), remember(vectors, memory, texts, offsets)):
        inputs = [vectors, *memory.parameters()] if len(found.firsts) else [vectors]
        results.append([told, *torch.autograd.grad(told.square().sum(), inputs)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


@given(texts=TEXTS, most=st.integers(1, 20))
def test_parts_are_whole_words_within_the_bound(texts: Words, most: int) -> None:
    found, _, _ = recurrences(texts, lambda i: 1 + i % 2)
    parts = list(found.parts(most))
    for name in ("firsts", "sizes", "pieces"):
        together = [number for part in parts for number in getattr(part, name)]
        assert together == list(getattr(found, name))
    for part in parts:
        assert len(part.firsts) == sum(part.sizes)
        assert len(part.firsts) <= most or len(part.sizes) == 1
        assert set(part.owners) == set(range(len(part.firsts)))


def test_the_mean_of_others_is_a_product_with_a_matrix_as_is_its_gradient() -> None:
    rows = torch.randn(9, 3, dtype=torch.float32, requires_grad=True)
    sizes = torch.tensor([2, 3, 4])
    weights = torch.block_diag(*((1 - torch.eye(int(n))) / (n - 1) for n in sizes))
    d_rows = torch.randn(9, 3)
    for ours, expected in (
        (MeanOfOthers.apply(rows, sizes), weights @ rows),
        (torch.autograd.grad(MeanOfOthers.apply(rows, sizes), rows, d_rows)[0], weights.T @ d_rows),
    ):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2"])
def test_an_encoder_begins_as_one_without(tiny_encoder: Encoders, name: str) -> None:
    docs = [long_doc(150), doc_of([]), doc_of(["once"]), long_doc(40)]
    without, with_memory = (predict(make(tiny_encoder(name), document_memory=on), docs) for on in (False, True))
    for plain, told in zip(without, with_memory, strict=True):
        np.testing.assert_array_equal(plain, told)


@pytest.fixture
def model(tiny_bert: Path) -> Model:
    made = make(tiny_bert, document_memory=True, transformer_config=NO_DROPOUT, window=16, stride=12)
    torch.nn.init.normal_(encoder_of(made).memory.add.weight, std=0.5)
    return made


def test_documents_do_not_hear_of_each_other(model: Model) -> None:
    docs = [long_doc(100, 1), long_doc(30, 2), doc_of([]), doc_of(["Jane", "Jane"])]
    together = predict(model, docs)
    for doc, vectors in zip(docs, together, strict=True):
        np.testing.assert_allclose(predict(model, [doc])[0], vectors, atol=1e-5)


def test_a_changed_word_is_told_to_its_like_and_to_nobody_else(model: Model) -> None:
    words = ["Paris", *(f"w{i}" for i in range(100)), "Paris", "z"]
    changed = ["Paris", "x0", *words[2:]]
    before, after = (spread(model, doc_of(each)) for each in (words, changed))
    differs = [bool(np.abs(before[i] - after[i]).max() > 1e-4) for i in range(len(words))]
    assert differs[0]
    assert differs[words.index("Paris", 1)]
    # Beyond the first windows nothing else moves.
    assert not any(differs[40:-2])
    assert not differs[-1]


def spread(model: Model, doc: Doc) -> list[Any]:
    """The first piece's vector of each word."""
    (pieces,) = split(model.predict([doc]))
    starts = np.cumsum(pieces.lengths) - pieces.lengths
    return [pieces.data[start] for start in starts]


def test_it_learns(model: Model) -> None:
    docs = [long_doc(60)]
    d_vectors = [np.random.default_rng(0).normal(size=vectors.shape).astype("f") for vectors in predict(model, docs)]
    found = backward(model, docs, d_vectors)
    assert {"memory.compare.weight", "memory.compare.bias", "memory.add.weight", "memory.add.bias"} <= found.keys()
    assert all(float(found[name].abs().max()) > 0 for name in found if name.startswith("memory"))


def test_small_batches_of_pieces_change_nothing(model: Model, tiny_bert: Path) -> None:
    docs = [long_doc(200)]
    small = make(tiny_bert, document_memory=True, window=16, stride=12, max_batch_pieces=16)
    small.from_bytes(model.to_bytes())
    np.testing.assert_allclose(predict(small, docs)[0], predict(model, docs)[0], atol=1e-5)


def test_it_is_saved_with_the_encoder_and_stays_when_the_config_forgets_it(model: Model, tiny_bert: Path) -> None:
    docs = [long_doc(50)]
    for document_memory in (True, False):
        loaded = make(tiny_bert, document_memory=document_memory, window=16, stride=12)
        loaded.from_bytes(model.to_bytes())
        np.testing.assert_array_equal(predict(loaded, docs)[0], predict(model, docs)[0])
        check_close(encoder_of(loaded).state_dict(), encoder_of(model).state_dict(), tolerance=0.0)
    assert isinstance(get_shim(loaded).pieces, WordPieces)
