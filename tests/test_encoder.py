"""The encoder: the vectors and gradients of a plain transformer, for documents of any length and any text."""

import copy
import pickle
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy_transformers.data_classes import TransformerData
from thinc.api import Adam, Model, fix_random_seed
from torch import nn
from transformers import AutoModel, AutoTokenizer

from spacy_bert_ner.encoder.casing import CLASSES, SHAPES, piece_classes, shape
from spacy_bert_ner.encoder.layout import lay_out
from spacy_bert_ner.encoder.model import (
    PackedBatch,
    build_tok2vec_transformer,
    build_transformer_model,
    get_shim,
)
from spacy_bert_ner.encoder.pieces import WordPieces
from spacy_bert_ner.encoder.precision import LossScale, choose_dtype
from spacy_bert_ner.encoder.shim import EncoderShim
from spacy_bert_ner.optimizer import build_adamw
from tests.encoders import (
    NO_DROPOUT,
    WORDS,
    Encoders,
    backward,
    check_close,
    doc_of,
    encoder_of,
    gradients,
    long_doc,
    make,
    predict,
    settings_of,
    vectors_of,
)

WEIRD = [
    "🙂",
    "\x01",
    "\u200b",
    "\ufeff",
    "\ud83d"[:0] + "ﬁ",
    "e\u0301",
    "</s>",
    "[SEP]",
    "<pad>",
    " ",
    "\n\n",
    "x" * 10_000,
]


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    fix_random_seed(0)


# --- vectors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["bert", "bert-cased", "generic", "roberta", "xlm-roberta", "electra", "distilbert", "deberta-v2", "mpnet"],
)
def test_equals_a_plain_forward_pass(tiny_encoder: Encoders, name: str) -> None:
    doc = doc_of(WORDS)
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder(name), add_prefix_space=True)
    plain = AutoModel.from_pretrained(tiny_encoder(name)).eval()
    inputs = tokenizer(WORDS, is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        expected = plain(**inputs).last_hidden_state[0]
    for case_features in (False, True):
        data = make(tiny_encoder(name), case_features=case_features).predict([doc]).doc_data[0]
        ids = [*inputs["input_ids"][0, :1].tolist(), *data.wordpieces.input_ids[0], inputs["input_ids"][0, -1].item()]
        assert ids == inputs["input_ids"][0].tolist()
        np.testing.assert_allclose(vectors_of(data), expected[1:-1].numpy(), atol=1e-5)
        # Alignment: each piece belongs to the word that transformers says.
        words = inputs.word_ids()[1:-1]
        assert np.repeat(np.arange(len(doc)), data.align.lengths).tolist() == words
        assert data.align.dataXd.tolist() == list(range(len(words)))
        assert data.wordpieces.strings[0] == tokenizer.convert_ids_to_tokens(data.wordpieces.input_ids[0].tolist())


def test_the_company_in_a_batch_does_not_matter(tiny_bert: Path) -> None:
    model = make(tiny_bert, max_batch_pieces=256)
    docs = [long_doc(length, seed=length) for length in (1, 7, 300, 0, 40, 90, 2)]
    together = predict(model, docs)
    for doc, vectors in zip(docs, together, strict=True):
        np.testing.assert_allclose(vectors, predict(model, [doc])[0], atol=1e-5)
    small = predict(make(tiny_bert, max_batch_pieces=1), docs)
    for vectors, other in zip(together, small, strict=True):
        np.testing.assert_allclose(vectors, other, atol=1e-5)


def test_a_word_changes_nothing_outside_its_windows(tiny_bert: Path) -> None:
    model = make(tiny_bert, window=34, stride=24)
    words = ["the"] * 200
    before = predict(model, [doc_of(words)])[0]
    words[100] = "paris"
    after = predict(model, [doc_of(words)])[0]
    changed = np.flatnonzero(np.abs(after - before).max(axis=1) > 1e-6)
    assert len(changed) > 16
    assert 100 in changed
    assert changed.min() > 100 - 32
    assert changed.max() < 100 + 32


def test_long_documents_read_each_piece_from_its_best_window(tiny_bert: Path) -> None:
    # One window after another by hand: 5 windows of 32 words, 22 apart.
    model = make(tiny_bert, window=34, stride=24)
    words = [WORDS[i % 7] for i in range(120)]
    pieces = get_shim(model).pieces
    words = [word for word in words if len(pieces.encode([word], 9)[0].ids) == 1]
    words = (words * 3)[:120]
    whole = predict(model, [doc_of(words)])[0]
    starts = [0, 22, 44, 66, 88]
    single = make(tiny_bert, window=34, stride=34)
    parts = [predict(single, [doc_of(words[start : start + 32])])[0] for start in starts]
    for word in range(120):
        window = min(range(5), key=lambda i: (abs(word + 0.5 - (starts[i] + 16)), -i))
        np.testing.assert_allclose(whole[word], parts[window][word - starts[window]], atol=1e-5)


def test_sentence_starts_are_used_where_known(tiny_bert: Path) -> None:
    model = make(tiny_bert, window=34, stride=24)
    doc = doc_of(["the"] * 60)
    unknown = predict(model, [doc])[0]
    for token in doc:
        token.is_sent_start = token.i in (0, 13)
    np.testing.assert_raises(AssertionError, np.testing.assert_allclose, predict(model, [doc])[0], unknown, atol=1e-6)


# --- any text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["bert", "generic", "roberta", "distilbert", "electra", "xlm-roberta", "mpnet", "deberta-v2"]
)
@pytest.mark.parametrize("case_features", [False, True])
def test_every_encoder_reads_every_text_and_learns(tiny_encoder: Encoders, name: str, case_features: bool) -> None:
    model = make(tiny_encoder(name), case_features=case_features)
    docs = [long_doc(150), doc_of([]), doc_of(WEIRD), doc_of(["\x01"])]
    batch = model.predict(docs)
    assert model.get_dim("nO") == 32
    for doc, data in zip(docs, batch.doc_data, strict=True):
        assert len(data.align.lengths) == len(doc)
        assert (data.align.lengths > 0).all()
        assert vectors_of(data).shape == (data.align.lengths.sum(), 32)
        assert np.isfinite(vectors_of(data)).all()
    # At most a window holds of one word.
    assert batch.doc_data[2].align.lengths.max() <= 62

    target = [np.zeros_like(vectors_of(data)) for data in batch.doc_data]
    optimizer = build_adamw(0.01)
    losses = []
    for _ in range(4):
        vectors, backprop = model.begin_update(docs)
        d = [vectors_of(data) - goal for data, goal in zip(vectors.doc_data, target, strict=True)]
        losses.append(sum(float((array**2).sum()) for array in d))
        assert backprop(vectors.unsplit_by_doc([[array[None]] for array in d if len(array)])) is docs
        model.finish_update(optimizer)
        optimizer.step_schedules()
    assert losses[-1] < 0.99 * losses[0]


def test_special_pieces_in_a_text_are_text(tiny_encoder: Encoders) -> None:
    for name, marks in [("bert", ["[SEP]", "[PAD]"]), ("roberta", ["</s>", "<pad>"])]:
        pieces = get_shim(make(tiny_encoder(name))).pieces
        for same in (pieces, pickle.loads(pickle.dumps(pieces)), WordPieces.from_dict(pieces.to_dict())):
            for ids, _ in same.encode(marks, 99):
                assert len(ids) > 1
                pads = {pieces.backend.token_to_id(mark) for mark in ("[PAD]", "<pad>")}
                assert not {*pieces.settings["prefix"], *pieces.settings["suffix"], *pads} & set(ids)


def test_batches_without_any_word(tiny_bert: Path) -> None:
    model = make(tiny_bert)
    docs = [doc_of([]), doc_of([])]
    assert [len(data.align.lengths) for data in model.predict(docs).doc_data] == [0, 0]
    batch, backprop = model.begin_update(docs)
    assert backprop(batch) is docs
    assert model.predict([]).doc_data == []
    alone = build_tok2vec_transformer(make(tiny_bert))
    found, backprop = alone.begin_update(docs)
    assert [data.model_output for data in found] == [{}, {}]
    backprop([])
    assert gradients(model) == {}


def test_words_are_remembered_within_bounds(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spacy_bert_ner.encoder.pieces.CACHE_SIZE", 10)
    pieces = get_shim(make(tiny_bert)).pieces
    fresh = pickle.loads(pickle.dumps(pieces))
    for start in range(0, 40, 4):
        words = [f"w{i}" for i in range(start, start + 4)] + ["the"]
        assert pieces.encode(words, 9) == fresh.encode(words, 9)
        assert len(pieces._cache) <= 10


# --- gradients -------------------------------------------------------------------------------------------------------


def stock_model(folder: Path) -> Model:
    from spacy_transformers import TransformerModel
    from spacy_transformers.span_getters import configure_get_doc_spans

    model: Model = TransformerModel(
        str(folder), configure_get_doc_spans(), {"use_fast": True}, {**NO_DROPOUT, "attn_implementation": "eager"}
    )
    model.initialize(X=[doc_of(["hello"])])
    return model


def test_gradients_equal_the_stock_architectures(tiny_bert: Path) -> None:
    docs = [doc_of(WORDS), doc_of(WORDS[:4]), doc_of(WORDS[3:9])]
    ours = make(tiny_bert, transformer_config=NO_DROPOUT)
    theirs = stock_model(tiny_bert)
    rng = np.random.default_rng(0)
    d_words = [rng.standard_normal((len(doc), 32)).astype("f") for doc in docs]
    batch, _ = ours.begin_update(docs)
    stock, stock_backprop = theirs.begin_update(docs)
    d_ours, d_theirs = [], []
    # A simple head: the gradient of each word goes to its first piece.
    for ours_data, stock_data, d in zip(batch.doc_data, stock.doc_data, d_words, strict=True):
        for data, collected in ((ours_data, d_ours), (stock_data, d_theirs)):
            vectors = data.model_output.last_hidden_state
            d_vectors = np.zeros_like(vectors).reshape(-1, 32)
            first = data.align.dataXd.ravel()[np.cumsum(data.align.lengths) - data.align.lengths]
            d_vectors[first] = d
            collected.append(d_vectors.reshape(vectors.shape))
        np.testing.assert_allclose(
            vectors_of(ours_data), stock_data.model_output.last_hidden_state[0, 1 : 1 + len(d_ours[-1][0])], atol=1e-5
        )
    widest = max(d.shape[1] for d in d_theirs)
    assert all(d.shape[1] == widest for d in d_theirs)
    found = backward(ours, docs, [d[0] for d in d_ours])
    # The stock model's pooler has an output of its own, and with it a gradient of zero.
    pooled = [np.zeros((1, 32), dtype="f") for _ in docs]
    stock_backprop(stock.unsplit_by_doc([[d, p] for d, p in zip(d_theirs, pooled, strict=True)]))
    wrapped = next(shim for node in theirs.walk() for shim in node.shims)._model
    expected = {f"transformer.{name}": p.grad for name, p in wrapped.named_parameters() if "pooler" not in name}
    check_close(found, {name: grad for name, grad in expected.items() if grad is not None})


def test_gradients_through_several_windows(tiny_bert: Path) -> None:
    model = make(tiny_bert, window=20, stride=10, max_batch_pieces=50, transformer_config=NO_DROPOUT)
    docs = [doc_of(["the", "paris", "of"] * 20), doc_of([]), doc_of(["london"] * 5)]
    assert isinstance(model.begin_update(docs)[0], PackedBatch)
    rng = np.random.default_rng(0)
    d_vectors = [rng.standard_normal((len(doc), 32)).astype("f") for doc in docs]

    np.random.seed(3)
    found = backward(model, docs, d_vectors)

    # The same cuts by hand: training windows do not overlap, the first one's length is drawn.
    np.random.seed(3)
    first = np.random.randint(9, 19)
    cuts = [0, *range(first, 60, 18), 60]
    reference = copy.deepcopy(encoder_of(model)).eval()
    for parameter in reference.parameters():
        parameter.grad = None
    pieces = get_shim(model).pieces
    parts = [(docs[0], start, end, d_vectors[0]) for start, end in pairwise(cuts)]
    for doc, start, end, d in [*parts, (docs[2], 0, 5, d_vectors[2])]:
        ids = [2, *(i for word in doc[start:end] for i in pieces.encode([word.text], 9)[0].ids), 3]
        hidden = reference.transformer(torch.tensor([ids])).last_hidden_state[0, 1:-1]  # type: ignore[operator]
        hidden.backward(torch.from_numpy(d[start:end]))
    check_close(found, {name: p.grad for name, p in reference.named_parameters() if p.grad is not None})


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


@pytest.mark.filterwarnings("ignore:The encoder learns nothing")
def test_training_windows_move(tiny_bert: Path) -> None:
    model = make(tiny_bert, window=20, stride=20, transformer_config=NO_DROPOUT)
    doc = doc_of(["the", "paris", "of"] * 20)
    runs = [vectors_of(model.begin_update([doc])[0].doc_data[0]) for _ in range(4)]
    assert any(np.abs(run - runs[0]).max() > 1e-4 for run in runs[1:])
    np.random.seed(0)
    first = vectors_of(model.begin_update([doc])[0].doc_data[0])
    np.random.seed(0)
    np.testing.assert_array_equal(first, vectors_of(model.begin_update([doc])[0].doc_data[0]))


# --- modes -----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:The encoder learns nothing")
def test_dropout_in_training_only(tiny_bert: Path) -> None:
    model = make(tiny_bert)
    doc = doc_of(WORDS)
    before = predict(model, [doc])[0]
    trained = [vectors_of(model.begin_update([doc])[0].doc_data[0]) for _ in range(2)]
    assert np.abs(trained[0] - trained[1]).max() > 1e-2
    assert not any(module.training for module in encoder_of(model).modules())
    np.testing.assert_array_equal(before, predict(model, [doc])[0])


@pytest.mark.parametrize("name", ["bert", "distilbert", "electra", "deberta-v2"])
def test_dropouts_are_set_whatever_the_encoder_calls_them(tiny_encoder: Encoders, name: str) -> None:
    still = make(tiny_encoder(name), hidden_dropout=0.0, attention_dropout=0.0)
    docs = [doc_of(WORDS)]
    first, second = (still.begin_update(docs)[0].doc_data[0].model_output.last_hidden_state for _ in range(2))
    np.testing.assert_array_equal(first, second)
    lively = make(tiny_encoder(name), hidden_dropout=0.5, attention_dropout=0.0)
    first, second = (lively.begin_update(docs)[0].doc_data[0].model_output.last_hidden_state for _ in range(2))
    assert np.abs(first - second).max() > 0.1
    with pytest.raises(ValueError, match=r"hidden_dropout = 1\.0: expected a share below 1, or null"):
        make(tiny_encoder(name), hidden_dropout=1.0)


def test_words_are_hidden_in_training_only(tiny_bert: Path) -> None:
    model = make(tiny_bert, hidden_dropout=0.0, attention_dropout=0.0, word_dropout=0.25)
    pieces = get_shim(model).pieces
    doc = long_doc(400)
    seen = lay_out(pieces, settings_of(model), [doc], is_train=False)
    shown = lay_out(pieces, settings_of(model), [doc], is_train=True)
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
    model = make(tiny_bert)
    output: Any = model.predict([doc_of(WORDS)]).model_output
    assert not output.last_hidden_state.requires_grad
    trained: Any = model.begin_update([doc_of(WORDS)])[0].model_output
    assert not trained.last_hidden_state.requires_grad


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


# --- precision -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_precisions_agree(tiny_bert: Path, precision: str) -> None:
    docs = [long_doc(90), doc_of(WORDS)]
    exact, short = (make(tiny_bert, precision=p, transformer_config=NO_DROPOUT) for p in ("fp32", precision))
    for vectors, other in zip(predict(exact, docs), predict(short, docs), strict=True):
        assert other.dtype == np.float32
        np.testing.assert_allclose(vectors, other, atol=0.08)
        assert np.abs(vectors - other).max() > 0
    # Small enough for fp16's range.
    d_vectors = [np.ones_like(vectors) * np.arange(32, dtype="f") * 1e-5 for vectors in predict(exact, docs)]
    found = []
    for model in (exact, short):
        np.random.seed(0)
        found.append(backward(model, docs, d_vectors))
    scale = get_shim(short)._loss_scale.value if precision == "fp16" else 1.0
    for name, grad in found[0].items():
        similarity = torch.nn.functional.cosine_similarity(grad.flatten(), found[1][name].flatten() / scale, dim=0)
        assert similarity > 0.98 or grad.norm() < 1e-5, name


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_short_weights_follow_training(tiny_bert: Path, precision: str) -> None:
    model = make(tiny_bert, precision=precision)
    shim, doc = get_shim(model), doc_of(WORDS)
    before = predict(model, [doc])[0]
    assert {p.dtype for p in shim.encoder.parameters()} == {torch.float32}
    assert shim._fast is not None
    assert {p.dtype for p in shim._fast.parameters()} == {choose_dtype(precision, shim.device)}
    held = shim._fast
    predict(model, [doc])
    assert shim._fast is held
    weights = {name: p.detach().clone() for name, p in shim.encoder.named_parameters()}
    for optimizer in (build_adamw(0.01), Adam(0.01)):
        backward(model, [doc], [np.ones_like(before) * np.arange(32, dtype="f") * 1e-3])
        model.finish_update(optimizer)
        after = predict(model, [doc])[0]
        exact = make(tiny_bert)
        get_shim(exact).encoder.load_state_dict(shim.encoder.state_dict())
        assert np.abs(after - before).max() > 0.05
        np.testing.assert_allclose(after, predict(exact, [doc])[0], atol=0.1)
        before = after
    assert any((p != weights[name]).any() for name, p in shim.encoder.named_parameters())
    assert {p.dtype for p in shim.encoder.parameters()} == {torch.float32}


def test_an_overflow_in_fp16_moves_nothing(tiny_bert: Path) -> None:
    model = make(tiny_bert, precision="fp16")
    shim, doc = get_shim(model), doc_of(WORDS)
    weights = {name: p.detach().clone() for name, p in shim.encoder.named_parameters()}
    scale = shim._loss_scale.value
    backward(model, [doc], [np.full_like(predict(model, [doc])[0], np.inf)])
    model.finish_update(build_adamw(0.01))
    assert all((p == weights[name]).all() for name, p in shim.encoder.named_parameters())
    assert gradients(model) == {}
    assert shim._loss_scale.value == scale / 2


def test_the_loss_scale_grows_after_many_steps() -> None:
    scale, parameter = LossScale(), nn.Parameter(torch.ones(2))
    first = scale.value
    for _ in range(2000):
        assert scale.value == first
        parameter.grad = torch.full((2,), first)
        assert scale.take_out([parameter])
        assert parameter.grad is not None
        assert (parameter.grad == 1.0).all()
    assert scale.value == 2 * first


def test_precision_by_device() -> None:
    cpu = torch.device("cpu")
    assert choose_dtype("fp32", cpu) is torch.float32
    assert choose_dtype("auto", cpu) in (torch.float32, torch.bfloat16)
    assert choose_dtype("auto", torch.device("meta")) is torch.float32


# --- case features ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Jane", "Title"),
        ("jane", "lower"),
        ("IBM", "UPPER"),
        ("U.S.", "UPPER"),
        ("A", "U"),
        ("McDonald", "miXed"),
        ("iPhone", "miXed"),
        ("'Tis", "Title"),
        ("1996", "digit"),
        ("12th", "d1git"),
        ("B-52", "d1git"),
        (",", "other"),
        ("", "other"),
        ("🙂", "other"),
    ],
)
def test_shapes(word: str, expected: str) -> None:
    assert SHAPES[shape(word)] == expected


@pytest.mark.parametrize(
    ("word", "spans", "expected"),
    [
        ("London-based", [(0, 6), (6, 7), (7, 12)], ["Title Title", "Title other", "Title lower"]),
        ("McDonald", [(0, 2), (2, 8)], ["miXed Title", "miXed Title"]),
        ("B-52", [(0, 1), (1, 2), (2, 4)], ["d1git U", "d1git other", "d1git digit"]),
        ("\x01", [], ["other other"]),
        # Nobody reads a word of a megabyte to its end.
        ("X" * 100 + "x", [(0, 101)], ["UPPER UPPER"]),
    ],
)
def test_pieces_have_their_own_shapes(word: str, spans: list[tuple[int, int]], expected: list[str]) -> None:
    found = [divmod(number, len(SHAPES)) for number in piece_classes(word, spans)]
    assert [f"{SHAPES[of_word]} {SHAPES[of_piece]}" for of_word, of_piece in found] == expected


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "deberta-v2"])
def test_the_tokenizer_says_where_pieces_are(tiny_encoder: Encoders, name: str) -> None:
    pieces = get_shim(make(tiny_encoder(name))).pieces
    (word,) = pieces.encode(["Unlucky-US"], 99)
    shapes = [SHAPES[number % len(SHAPES)] for number in word.classes]
    assert len(shapes) == len(word.ids)
    assert len(shapes) > 3
    assert shapes[-1] in ("U", "UPPER")
    assert "lower" in shapes


@pytest.mark.parametrize(
    ("name", "expected"), [("bert", True), ("bert-cased", False), ("roberta", False), ("xlm-roberta", False)]
)
def test_case_features_by_default_where_capitals_are_lost(tiny_encoder: Encoders, name: str, expected: bool) -> None:
    assert get_shim(make(tiny_encoder(name), case_features=None)).encoder.case_features is expected
    assert get_shim(make(tiny_encoder(name), case_features=not expected)).encoder.case_features is not expected


@pytest.mark.parametrize("name", ["bert", "electra"])
def test_case_features_begin_at_zero_and_learn(tiny_encoder: Encoders, name: str) -> None:
    docs = [doc_of(["paris", "met", "the", "ibm"]), doc_of(["Paris", "met", "the", "IBM"])]
    plain = make(tiny_encoder(name), transformer_config=NO_DROPOUT)
    model = make(tiny_encoder(name), case_features=True, transformer_config=NO_DROPOUT)
    for vectors, other in zip(predict(model, docs), predict(plain, docs), strict=True):
        np.testing.assert_allclose(vectors, other, atol=1e-6)
    lower, capitals = predict(model, docs)
    np.testing.assert_allclose(lower, capitals, atol=1e-6)
    backward(model, docs, [np.ones_like(lower) * np.arange(32, dtype="f"), -np.ones_like(lower)])
    model.finish_update(build_adamw(0.01))
    lower, capitals = predict(model, docs)
    assert np.abs(lower - capitals).max() > 0.01
    table = get_shim(model).encoder.casing.weight
    pieces = get_shim(model).pieces
    used = {kind for doc in docs for word in pieces.encode([token.text for token in doc], 9) for kind in word.classes}
    used |= {0}
    assert len(table) == CLASSES
    assert set(torch.nonzero(table.abs().sum(dim=1)).flatten().tolist()) <= used


# --- limits ----------------------------------------------------------------------------------------------------------


def test_window_must_fit_the_encoder(tiny_encoder: Encoders) -> None:
    for name, limit in [("bert", 512), ("roberta", 510), ("mpnet", 510)]:
        with pytest.raises(ValueError, match="window") as caught:
            make(tiny_encoder(name), window=limit + 1)
        assert str(caught.value) == (
            f"[components.transformer.model] window = {limit + 1} does not suit the encoder "
            f"{str(tiny_encoder(name))!r}: it must be more than its 2 special pieces and at most {limit}, the most it "
            "can read"
        )
        doc = long_doc(900)
        data = make(tiny_encoder(name), window=limit, stride=limit - 8).predict([doc]).doc_data[0]
        assert np.isfinite(vectors_of(data)).all()


def test_the_smallest_windows(tiny_bert: Path) -> None:
    with pytest.raises(ValueError, match="it must be more than its 2 special pieces"):
        make(tiny_bert, window=2, stride=1)
    for stride in (1, 2, 3):
        assert predict(make(tiny_bert, window=3, stride=stride), [doc_of(WORDS)])[0].shape == (len(WORDS), 32)


@pytest.mark.parametrize("stride", [0, 65])
def test_stride_must_not_leave_gaps(tiny_bert: Path, stride: int) -> None:
    message = (
        rf"^\[components.transformer.model\] stride = {stride} must lie between 1 and window = 64: it is how far one "
        r"window begins behind the other$"
    )
    with pytest.raises(ValueError, match=message):
        make(tiny_bert, stride=stride)


def test_unknown_precision(tiny_bert: Path) -> None:
    message = r"^\[components.transformer.model\] precision = 'fp8': expected one of auto, fp32, bf16, fp16$"
    with pytest.raises(ValueError, match=message):
        build_transformer_model(str(tiny_bert), precision="fp8")


def test_slow_tokenizers_are_refused(tiny_bert: Path) -> None:
    with pytest.raises(ValueError, match="fast") as caught:
        make(tiny_bert, tokenizer_config={"use_fast": False})
    assert str(caught.value) == (
        f"The encoder {str(tiny_bert)!r} comes with a tokenizer that has no fast version (BertTokenizer), and only "
        "fast tokenizers say which word a piece belongs to. Choose an encoder with a tokenizer.json, or convert its "
        "tokenizer to one."
    )


def test_encoders_that_do_not_give_vectors_are_refused(tiny_encoder: Encoders, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import DebertaV2Model

    monkeypatch.setattr(DebertaV2Model, "forward", lambda self, **inputs: {"logits": None})
    with pytest.raises(
        ValueError, match=r"\(DebertaV2Model\) does not give one vector per word piece: .* Choose an encoder"
    ):
        make(tiny_encoder("deberta-v2"))


def test_other_return_types_of_the_config(tiny_bert: Path) -> None:
    tuples = make(tiny_bert, transformer_config={"return_dict": False, "output_hidden_states": True})
    doc = doc_of(WORDS)
    np.testing.assert_array_equal(predict(tuples, [doc])[0], predict(make(tiny_bert), [doc])[0])


def test_not_initialized() -> None:
    with pytest.raises(ValueError, match=r"^The encoder is not there yet: call nlp.initialize\(\), or load a trained"):
        build_transformer_model("nowhere").predict([doc_of(["a"])])


# --- copies ----------------------------------------------------------------------------------------------------------


def copies(model: Model, folder: Path) -> Iterator[tuple[str, Model]]:
    blank = {"window": 64, "stride": 48, "precision": "fp32"}
    yield "bytes", build_transformer_model("nowhere", **blank).from_bytes(model.to_bytes())
    model.to_disk(folder / "model")
    yield "disk", build_transformer_model("nowhere", **blank).from_disk(folder / "model")
    yield "pickle", pickle.loads(pickle.dumps(model))
    yield "deepcopy", copy.deepcopy(model)
    yield "copy", model.copy()


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "deberta-v2"])
def test_copies_give_the_same_vectors_and_learn_alone(tiny_encoder: Encoders, name: str, tmp_path: Path) -> None:
    model = make(tiny_encoder(name), case_features=True, transformer_config=NO_DROPOUT)
    docs = [long_doc(100), doc_of([]), doc_of(WEIRD)]
    encoder_of(model).get_parameter("casing.weight").data.normal_()
    expected = predict(model, docs)
    for kind, copied in copies(model, tmp_path):
        shim = get_shim(copied)
        for vectors, other in zip(predict(copied, docs), expected, strict=True):
            np.testing.assert_array_equal(vectors, other, err_msg=kind)
        assert not any(module.training for module in shim.encoder.modules())
        assert shim.id != get_shim(model).id
        backward(copied, docs, [np.ones_like(vectors) * np.arange(32, dtype="f") for vectors in expected])
        assert gradients(model) == {}
        copied.finish_update(build_adamw(0.01))
        assert np.abs(predict(copied, docs)[0] - expected[0]).max() > 0.01
        np.testing.assert_array_equal(predict(model, docs)[0], expected[0])


def test_loading_draws_no_random_numbers(tiny_bert: Path) -> None:
    saved = make(tiny_bert).to_bytes()
    state = torch.random.get_rng_state()
    build_transformer_model("nowhere").from_bytes(saved)
    assert (torch.random.get_rng_state() == state).all()


def test_on_disk_in_fp32_and_the_same_each_time(tiny_bert: Path) -> None:
    model = make(tiny_bert, precision="bf16")
    predict(model, [doc_of(WORDS)])
    saved = model.to_bytes()
    loaded = build_transformer_model("nowhere", window=64, stride=48, precision="bf16").from_bytes(saved)
    assert loaded.to_bytes() == saved
    state = encoder_of(loaded).state_dict()
    for name, tensor in encoder_of(model).state_dict().items():
        assert state[name].dtype == tensor.dtype == torch.float32
        assert (state[name] == tensor).all()


def test_half_precision_checkpoints_are_trained_in_fp32(tiny_bert: Path, tmp_path: Path) -> None:
    AutoModel.from_pretrained(tiny_bert).half().save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path)
    model = make(tmp_path)
    again = build_transformer_model("nowhere").from_bytes(model.to_bytes())
    for each in (model, again):
        assert {p.dtype for p in encoder_of(each).parameters()} == {torch.float32}


def test_saved_weights_that_do_not_fit(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import srsly

    shim = get_shim(make(tiny_bert))
    data = srsly.msgpack_loads(shim.to_bytes())
    data["config"] = data["config"].replace('"num_hidden_layers": 2', '"num_hidden_layers": 3')
    with pytest.raises(ValueError, match=r"(?s)^The saved encoder does not fit this version of .*Missing key"):
        EncoderShim(None, None, "fp32").from_bytes(srsly.msgpack_dumps(data))


def test_uninitialized_models_can_be_saved_and_copied(tmp_path: Path) -> None:
    model = build_transformer_model("nowhere")
    for _, copied in copies(model, tmp_path):
        assert get_shim(copied)._model is None


def test_other_weights_for_a_while(tiny_bert: Path) -> None:
    for precision in ("fp32", "bf16"):
        model = make(tiny_bert, precision=precision)
        shim, doc = get_shim(model), doc_of(WORDS)
        before = predict(model, [doc])[0]
        name = "transformer.encoder.layer.1.output.dense.weight"
        array = np.zeros((32, 64), dtype="f")
        with model.use_params({(shim.id, name): array, (shim.id + 1, name): array + 1}):
            assert np.abs(predict(model, [doc])[0] - before).max() > 0.01
        np.testing.assert_array_equal(predict(model, [doc])[0], before)
        with pytest.raises(KeyboardInterrupt), shim.use_params({(shim.id, name): array}):
            raise KeyboardInterrupt
        np.testing.assert_array_equal(predict(model, [doc])[0], before)


# --- in a pipeline ---------------------------------------------------------------------------------------------------

TAGGER = {
    "model": {
        "@architectures": "spacy.Tagger.v2",
        "tok2vec": {
            "@architectures": "spacy-transformers.TransformerListener.v1",
            "grad_factor": 1.0,
            "pooling": {"@layers": "reduce_mean.v1"},
        },
    }
}
LINES = [
    (["Jane", "met", "IBM"], ["U-PER", "O", "U-ORG"], ["N", "V", "N"]),
    (["IBM", "works", "near", "Paris"], ["U-ORG", "O", "O", "U-LOC"], ["N", "V", "P", "N"]),
    ([], [], []),
    (["the", "unlucky", "Londoners"], ["O", "O", "O"], ["D", "A", "N"]),
]


def make_nlp(folder: Path, components: tuple[str, ...] = ("bert_ner", "tagger"), **settings: Any) -> Language:
    nlp = spacy.blank("en")
    settings = {"window": 64, "stride": 48, "precision": "fp32", "transformer_config": NO_DROPOUT, **settings}
    model = {"@architectures": "spacy-bert-ner.TransformerModel.v1", "name": str(folder), **settings}
    nlp.add_pipe("transformer", config={"model": model})
    for component in components:
        nlp.add_pipe(component, config=TAGGER if component == "tagger" else {})
    nlp.initialize(lambda: examples_of(nlp))
    return nlp


def examples_of(nlp: Language) -> list[Example]:
    return [
        Example.from_dict(Doc(nlp.vocab, words=words), {"entities": entities, "tags": tags})
        for words, entities, tags in LINES
    ]


def step(nlp: Language, optimizer: Any, **settings: Any) -> dict[str, float]:
    """One step of spaCy's training loop."""
    losses = nlp.update(examples_of(nlp), sgd=False, **settings)  # type: ignore[arg-type]
    for name, component in nlp.pipeline:
        if name not in settings.get("exclude", ()):
            component.finish_update(optimizer)  # type: ignore[attr-defined]
    optimizer.step_schedules()
    return losses


def model_of(nlp: Language, name: str = "transformer") -> Model:
    return nlp.get_pipe(name).model  # type: ignore[attr-defined]


def annotations(nlp: Language) -> list[Any]:
    docs = nlp.pipe([Doc(nlp.vocab, words=words) for words, _, _ in LINES])
    return [([(ent.text, ent.label_) for ent in doc.ents], [token.tag_ for token in doc]) for doc in docs]


def expected_annotations() -> list[Any]:
    return [
        ([(words[i], tag[2:]) for i, tag in enumerate(entities) if tag != "O"], tags) for words, entities, tags in LINES
    ]


def test_two_listeners_share_an_encoder(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    optimizer = build_adamw(0.005)
    losses = [step(nlp, optimizer) for _ in range(30)]
    for component in ("bert_ner", "tagger"):
        assert losses[-1][component] < 0.2 * losses[0][component]
    assert annotations(nlp) == expected_annotations()


def test_the_gradients_of_two_listeners_add_up(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    # Initial weights of the tagger are zeros, which send no gradient back.
    output = model_of(nlp, "tagger").get_ref("softmax")
    output.set_param("W", np.random.default_rng(0).standard_normal(output.get_param("W").shape).astype("f"))
    (head,) = [n for n in model_of(nlp, "bert_ner").get_ref("output_layer").walk() if n.has_param("W")]
    head.set_param("W", np.random.default_rng(1).standard_normal(head.get_param("W").shape).astype("f"))

    def collect(**settings: Any) -> dict[str, Any]:
        nlp.update(examples_of(nlp), sgd=False, **settings)  # type: ignore[arg-type]
        found = gradients(model_of(nlp))
        for parameter in encoder_of(model_of(nlp)).parameters():
            parameter.grad = None
        return found

    together = collect()
    parts = []
    transformer: Any = nlp.get_pipe("transformer")
    for component in ("bert_ner", "tagger"):
        others = dict(transformer.listener_map)
        for other in set(others) - {component}:
            del transformer.listener_map[other]
        parts.append(collect(exclude=[name for name in others if name != component]))
        transformer.listener_map = others
    check_close({name: parts[0][name] + parts[1][name] for name in together}, together)


def test_frozen_encoders_stay(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    weights = {name: p.detach().clone() for name, p in encoder_of(model_of(nlp)).named_parameters()}
    optimizer = build_adamw(0.05)
    losses = [step(nlp, optimizer, exclude=["transformer"], annotates=["transformer"]) for _ in range(30)]
    assert all((p == weights[name]).all() for name, p in encoder_of(model_of(nlp)).named_parameters())
    assert losses[-1]["bert_ner"] < 0.5 * losses[0]["bert_ner"]
    assert gradients(model_of(nlp)) == {}


def test_frozen_components_stay_while_the_encoder_learns(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    before = model_of(nlp, "tagger").to_bytes()
    weights = model_of(nlp).to_bytes()
    # Listeners are linked in the order of the pipeline: the last one sends the gradient, so it must not be frozen.
    nlp = make_nlp(tiny_bert, components=("tagger", "bert_ner"))
    before = model_of(nlp, "tagger").to_bytes()
    for _ in range(2):
        step(nlp, build_adamw(0.01), exclude=["tagger"])
    assert model_of(nlp, "tagger").to_bytes() == before
    assert model_of(nlp).to_bytes() != weights


def test_annotating_encoders_set_their_data_in_training(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    seen: list[Any] = []

    @Language.component("look_at_data")
    def look(doc: Doc) -> Doc:
        seen.append(doc._.trf_data)
        return doc

    nlp.add_pipe("look_at_data", after="transformer")
    losses = [step_annotating(nlp, build_adamw(0.005)) for _ in range(2)]
    assert losses[1]["bert_ner"] != losses[0]["bert_ner"]
    assert len(seen) == 2 * len(LINES)
    assert all(isinstance(data, TransformerData) for data in seen)


def step_annotating(nlp: Language, optimizer: Any) -> dict[str, float]:
    losses = nlp.update(examples_of(nlp), sgd=optimizer, annotates=["transformer", "look_at_data"])
    optimizer.step_schedules()
    return losses


def test_direct_updates_train(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    optimizer = build_adamw(0.005)
    losses = [nlp.update(examples_of(nlp), sgd=optimizer) for _ in range(30)]
    assert losses[-1]["bert_ner"] < 0.3 * losses[0]["bert_ner"]
    assert losses[-1]["tagger"] < 0.3 * losses[0]["tagger"]


def test_pipelines_are_saved_and_loaded(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_nlp(tiny_bert)
    optimizer = build_adamw(0.005)
    for _ in range(30):
        step(nlp, optimizer)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert annotations(loaded) == annotations(nlp) == expected_annotations()
    assert annotations(spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())) == expected_annotations()


def test_replaced_listeners(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_nlp(tiny_bert, case_features=True)
    optimizer = build_adamw(0.005)
    for _ in range(30):
        step(nlp, optimizer)
    expected = annotations(nlp)
    for component in ("bert_ner", "tagger"):
        nlp.replace_listeners("transformer", component, ["model.tok2vec"])
        tok2vec = nlp.config["components"][component]["model"]["tok2vec"]
        assert tok2vec["@architectures"] == "spacy-bert-ner.Tok2VecTransformer.v1"
    assert annotations(nlp) == expected
    nlp.remove_pipe("transformer")
    assert annotations(nlp) == expected

    shims = {name: shim_of(model_of(nlp, name)) for name in ("bert_ner", "tagger")}
    assert shims["bert_ner"].id != shims["tagger"].id
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert annotations(loaded) == expected

    # Each learns for itself, and under one optimizer.
    for pipeline in (nlp, loaded):
        tagger = shim_of(model_of(pipeline, "tagger")).to_bytes()
        ner = shim_of(model_of(pipeline, "bert_ner")).to_bytes()
        step(pipeline, build_adamw(0.005), exclude=["tagger"])
        assert shim_of(model_of(pipeline, "tagger")).to_bytes() == tagger
        assert shim_of(model_of(pipeline, "bert_ner")).to_bytes() != ner
        optimizer = build_adamw(0.005)
        losses = [step(pipeline, optimizer) for _ in range(8)]
        assert losses[-1]["bert_ner"] < losses[0]["bert_ner"] + 0.05
        assert shim_of(model_of(pipeline, "tagger")).to_bytes() != tagger


def shim_of(model: Model) -> EncoderShim:
    found = [shim for node in model.walk() for shim in node.shims]
    assert len(found) == 1
    assert isinstance(found[0], EncoderShim)
    return found[0]


def test_one_listener_replaced_and_one_sharing(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_nlp(tiny_bert)
    nlp.replace_listeners("transformer", "tagger", ["model.tok2vec"])
    optimizer = build_adamw(0.005)
    losses = [step(nlp, optimizer) for _ in range(30)]
    assert losses[-1]["tagger"] < 0.3 * losses[0]["tagger"]
    assert losses[-1]["bert_ner"] < 0.3 * losses[0]["bert_ner"]
    nlp.to_disk(tmp_path)
    assert annotations(spacy.load(tmp_path)) == annotations(nlp)


def test_activations_can_be_saved_with_their_doc(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    doc = nlp("Jane met IBM near Paris")
    again = Doc(nlp.vocab).from_bytes(doc.to_bytes())
    np.testing.assert_array_equal(vectors_of(again._.trf_data), vectors_of(doc._.trf_data))
