"""The pass without padding: attention, dropout and every kind of transformer against independent references."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy_bert_ner.encoder.packed import KINDS, can_pack
from thinc.api import fix_random_seed
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoConfig, AutoModel

from spacy_bert_ner.encoder.attention import STEP, TOGETHER, attend, group, places
from spacy_bert_ner.encoder.dropout import draw_fates, drop_out, kept
from spacy_bert_ner.encoder.module import Encoder
from tests.encoders import Encoders

PACKED = ["bert", "roberta", "xlm-roberta", "electra", "distilbert", "mpnet"]
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "dropout": 0.0, "attention_dropout": 0.0}
LENGTHS = [5, 5, 3, 1, 1]


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    fix_random_seed(0)


def reference(qkv: Tensor, lengths: list[int], heads: int, bias: Tensor | None) -> Tensor:
    """Each window alone, by torch's own attention."""
    mixed = []
    for window in qkv.split(lengths):
        q, k, v = window.view(len(window), 3, heads, -1).permute(1, 2, 0, 3)
        mask = None if bias is None else bias[:, : len(window), : len(window)]
        mixed.append(scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(0, 1).flatten(1))
    return torch.cat(mixed)


@given(st.lists(st.integers(1, 19), min_size=1, max_size=12))
def test_groups_hold_all_windows_in_order(lengths: list[int]) -> None:
    groups = group(lengths)
    assert [size for one in groups for size in one.sizes] == lengths
    assert {one.count for one in groups} <= {1, TOGETHER}
    assert all(0 <= one.length - size < STEP and one.length % STEP == 0 for one in groups for size in one.sizes)
    ends = [0, *(one.rows.stop for one in groups)]
    assert [one.rows.start for one in groups] == ends[:-1]
    own = places(groups).tolist()
    assert len(own) == sum(lengths)
    assert own == sorted(set(own))


def by_ours(qkv: Tensor, lengths: list[int], *args: Any) -> Tensor:
    """Our attention over rows with garbage where they are masked."""
    groups = group(lengths)
    rows = torch.full((groups[-1].rows.stop, qkv.shape[1]), 7.0).index_copy(0, places(groups), qkv)
    return attend(rows, groups, *args)[places(groups)]


@pytest.mark.parametrize("biased", [False, True])
@settings(max_examples=25)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), heads=st.integers(1, 3))
def test_attention_and_its_gradients_equal_torchs(biased: bool, lengths: list[int], heads: int) -> None:
    qkv = torch.randn(sum(lengths), 3 * heads * 4, requires_grad=True)
    longest = max(one.length for one in group(lengths))
    bias = torch.randn(heads, longest, longest, requires_grad=True) if biased else None
    inputs = [tensor for tensor in (qkv, bias) if tensor is not None]
    d_mixed = torch.randn(sum(lengths), heads * 4)
    results = []
    for mixed in (by_ours(qkv, lengths, heads, bias), reference(qkv, lengths, heads, bias)):
        results.append([mixed, *torch.autograd.grad(mixed, inputs, d_mixed)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(by_ours(qkv, lengths, heads, bias), results[0][0], rtol=1e-4, atol=1e-5)


def test_attention_leaves_rows_behind_the_windows_alone() -> None:
    qkv = torch.full((14, 12), torch.nan)
    qkv[:8] = torch.randn(8, 12)
    qkv.requires_grad_()
    mixed = attend(qkv, group([3, 2]), 2)
    mixed[:8].sum().backward()
    assert qkv.grad is not None
    for rows in (mixed, qkv.grad):
        assert torch.isfinite(rows).all()
        assert not rows[8:].any()


def test_attention_gives_the_input_s_number_type() -> None:
    qkv = torch.randn(8, 12, dtype=torch.bfloat16, requires_grad=True)
    mixed = attend(qkv, group([2, 2]), 2)
    mixed.sum().backward()
    assert mixed.dtype == torch.bfloat16
    assert qkv.grad is not None
    assert qkv.grad.dtype == torch.bfloat16


def both_ways(folder: Path, lengths: list[int], settings: dict[str, float]) -> list[dict[str, Tensor]]:
    """The vectors and gradients by the pass without padding, and by the transformer's own."""
    transformer = AutoModel.from_pretrained(folder, attn_implementation="eager", **settings)
    encoder = Encoder(transformer, case_features=True).train()
    torch.nn.init.normal_(encoder.casing.weight)
    ids, shapes = torch.randint(5, 60, (sum(lengths),)), torch.randint(0, 8, (sum(lengths),))
    found = []
    d_hidden = None
    for forward in (encoder, encoder._forward_padded):
        hidden = forward(ids, shapes, lengths)
        d_hidden = torch.randn_like(hidden) if d_hidden is None else d_hidden
        encoder.zero_grad()
        hidden.backward(d_hidden)
        gradients = {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}
        found.append({"hidden": hidden.detach(), **gradients})
    return found


@pytest.mark.parametrize("name", PACKED)
def test_every_kind_equals_its_own_forward_pass_and_gradients(tiny_encoder: Encoders, name: str) -> None:
    config = AutoConfig.from_pretrained(tiny_encoder(name))
    assert can_pack(AutoModel.from_config(config))
    without = {key: value for key, value in NO_DROPOUT.items() if hasattr(config, key)}
    found, expected = both_ways(tiny_encoder(name), LENGTHS, without)
    # The keys' biases cancel out in the softmax: whether they get a zero or none at all does not matter.
    assert found.keys() == expected.keys()
    for part, value in expected.items():
        torch.testing.assert_close(found[part], value, rtol=1e-3, atol=1e-4, msg=part)


def test_what_is_not_known_takes_its_own_forward_pass(tiny_encoder: Encoders) -> None:
    for unusual in ({"position_embedding_type": "relative_key"}, {"is_decoder": True}, {"pruned_heads": {0: [1]}}):
        config = AutoConfig.from_pretrained(tiny_encoder("bert"), **unusual)
        assert not can_pack(AutoModel.from_config(config))
    assert not can_pack(AutoModel.from_pretrained(tiny_encoder("deberta-v2")))
    assert set(PACKED) | {"camembert"} == set(KINDS)


@pytest.mark.parametrize("dropout", [0.1, 0.5])
@pytest.mark.parametrize("lengths", [[8], [4, 4, 4, 4], [12, 4, 4, 4]])
def test_dropout_of_attention_equals_a_plain_one_of_the_same_draws(lengths: list[int], dropout: float) -> None:
    heads = 2
    qkv = torch.randn(sum(lengths), 3 * heads * 4, requires_grad=True)
    groups = group(lengths)

    def plain() -> Tensor:
        mixed = []
        for one in groups:
            q, k, v = qkv[one.rows].view(one.count, one.length, 3, heads, 4).permute(2, 0, 3, 1, 4)
            probabilities = (q @ k.transpose(-1, -2) / 2).softmax(-1)
            fates = draw_fates(probabilities)
            mixed.append((probabilities * kept(fates, dropout, torch.float32) @ v).transpose(1, 2).reshape(-1, 8))
        return torch.cat(mixed)

    results = []
    d_mixed = torch.randn(sum(lengths), heads * 4)
    for way in (lambda: attend(qkv, groups, heads, None, dropout), plain):
        torch.manual_seed(0)
        mixed = way()
        results.append((mixed, *torch.autograd.grad(mixed, qkv, d_mixed)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_dropout_of_attention_keeps_what_is_expected() -> None:
    qkv = torch.randn(6, 24)
    draws = torch.stack([by_ours(qkv, [6], 2, None, 0.3) for _ in range(4000)])
    torch.testing.assert_close(draws.mean(0), by_ours(qkv, [6], 2), rtol=0, atol=0.1)
    assert float(draws.std(0).min()) > 0


@pytest.mark.parametrize("name", PACKED)
def test_every_kind_drops_attention_in_training_alone(tiny_encoder: Encoders, name: str) -> None:
    config = AutoConfig.from_pretrained(tiny_encoder(name))
    rates = {key: 0.0 for key in NO_DROPOUT if hasattr(config, key)}
    attention = "attention_dropout" if name == "distilbert" else "attention_probs_dropout_prob"
    encoder = Encoder(AutoModel.from_pretrained(tiny_encoder(name), **rates | {attention: 0.5}), False)
    ids = torch.randint(5, 60, (8,))
    vectors = [encoder.train(training)(ids, ids, [8]) for training in (True, True, False, False)]
    assert not torch.equal(vectors[0], vectors[1])
    assert torch.equal(vectors[2], vectors[3])


# transformers 4.53 makes its ModernBERT with it.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_what_names_its_dropouts_otherwise_is_trained() -> None:
    own = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = AutoConfig.for_model("modernbert", vocab_size=64, pad_token_id=0, **own)
    encoder = Encoder(AutoModel.from_config(config, attn_implementation="sdpa"), case_features=False).train()
    ids = torch.randint(5, 60, (8,))
    assert encoder(ids, ids, [5, 3]).shape == (8, 32)


def test_a_dropout_of_nearly_all_leaves_some() -> None:
    rows = drop_out(torch.ones(100, 100), 0.9999, training=True)
    assert 0 < int((rows > 0).sum()) < 200


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_its_share_and_keeps_the_sum(rate: float, dtype: torch.dtype) -> None:
    rows = torch.ones(300, 401, dtype=dtype, requires_grad=True)
    dropped = drop_out(rows, rate, training=True)
    assert dropped.dtype == dtype
    # Four standard deviations, and the 512th that the share is rounded by.
    share = float((dropped == 0).float().mean())
    assert abs(share - rate) < 4 * (rate * (1 - rate) / rows.numel()) ** 0.5 + 1 / 512
    assert abs(float(dropped.detach().float().mean()) - 1) < 0.01
    dropped.sum().backward()
    torch.testing.assert_close(rows.grad, dropped.detach())


def test_dropout_follows_the_seed_and_only_in_training() -> None:
    rows = torch.ones(50, 7)
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(drop_out(rows, 0.3, training=True))
    assert torch.equal(*draws)
    assert not torch.equal(draws[0], drop_out(rows, 0.3, training=True))
    assert drop_out(rows, 0.3, training=False) is rows
    assert drop_out(rows, 0.0, training=True) is rows
