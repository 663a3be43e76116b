"""Attention and dropout without padding, against independent references."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from thinc.api import fix_random_seed
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from spacy_bert_ner.encoder.network.attention import (
    GPU_STEP,
    STEP,
    TOGETHER,
    _by_kernel,
    _keep,
    attend,
    group_windows,
    row_indices,
)
from spacy_bert_ner.encoder.network.dropout import draw_bytes, drop_out, keep_mask


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
    groups = group_windows(lengths)
    assert [size for one in groups for size in one.sizes] == lengths
    assert {one.count for one in groups} <= set(range(1, TOGETHER + 1))
    # No two could be one.
    assert all(one.length != other.length or one.count == TOGETHER for one, other in pairwise(groups))
    assert all(0 <= one.length - size < STEP and one.length % STEP == 0 for one in groups for size in one.sizes)
    ends = [0, *(one.rows.stop for one in groups)]
    assert [one.rows.start for one in groups] == ends[:-1]
    own = row_indices(groups).tolist()
    assert len(own) == sum(lengths)
    assert own == sorted(set(own))


def by_ours(qkv: Tensor, lengths: list[int], *args: Any) -> Tensor:
    """Our attention over rows with garbage where they are masked."""
    groups = group_windows(lengths)
    rows = torch.full((groups[-1].rows.stop, qkv.shape[1]), 7.0).index_copy(0, row_indices(groups), qkv)
    return attend(rows, groups, *args)[row_indices(groups)]


@pytest.mark.parametrize("biased", [False, True])
@settings(max_examples=25)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), heads=st.integers(1, 3))
def test_attention_and_its_gradients_equal_torchs(biased: bool, lengths: list[int], heads: int) -> None:
    qkv = torch.randn(sum(lengths), 3 * heads * 4, requires_grad=True)
    longest = max(one.length for one in group_windows(lengths))
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


GPU = torch.device("meta")


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_a_gpu_takes_windows_of_about_the_same_length_at_once(lengths: list[int]) -> None:
    groups = group_windows(sorted(lengths), GPU)
    assert [size for one in groups for size in one.sizes] == sorted(lengths)
    assert len(groups) == len({-(-length // GPU_STEP) for length in lengths})
    for one in groups:
        assert (one.keep is None) == (min(one.sizes) == one.length)


@pytest.mark.parametrize("biased", [False, True])
@settings(max_examples=25)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=6), heads=st.integers(1, 3))
def test_the_kernel_that_gpus_take_equals_torchs(biased: bool, lengths: list[int], heads: int) -> None:
    """By a GPU's groups on the CPU: what cannot be moved to a GPU here is the device alone."""
    qkv = torch.randn(sum(lengths), 3 * heads * 4, requires_grad=True)
    groups = [
        replace(one, keep=_keep(one.sizes, one.length, torch.device("cpu"))) for one in group_windows(lengths, GPU)
    ]
    longest = max(one.length for one in groups)
    bias = torch.randn(heads, longest, longest, requires_grad=True) if biased else None
    inputs = [tensor for tensor in (qkv, bias) if tensor is not None]
    rows = torch.zeros(groups[-1].rows.stop + 3, qkv.shape[1]).index_copy(0, row_indices(groups), qkv)
    mixed = _by_kernel(rows, groups, heads, bias, 0.0)[row_indices(groups)]
    expected = reference(qkv, lengths, heads, bias)
    d_mixed = torch.randn_like(mixed)
    torch.testing.assert_close(mixed, expected, rtol=1e-4, atol=1e-5)
    for found, other in zip(*(torch.autograd.grad(way, inputs, d_mixed) for way in (mixed, expected)), strict=True):
        torch.testing.assert_close(found, other, rtol=1e-4, atol=1e-5)


def test_attention_leaves_rows_behind_the_windows_alone() -> None:
    qkv = torch.full((14, 12), torch.nan)
    qkv[:8] = torch.randn(8, 12)
    qkv.requires_grad_()
    mixed = attend(qkv, group_windows([3, 2]), 2)
    mixed[:8].sum().backward()
    assert qkv.grad is not None
    for rows in (mixed, qkv.grad):
        assert torch.isfinite(rows).all()
        assert not rows[8:].any()


def test_attention_gives_the_inputs_dtype() -> None:
    qkv = torch.randn(8, 12, dtype=torch.bfloat16, requires_grad=True)
    mixed = attend(qkv, group_windows([2, 2]), 2)
    mixed.sum().backward()
    assert mixed.dtype == torch.bfloat16
    assert qkv.grad is not None
    assert qkv.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("dropout", [0.1, 0.5])
@pytest.mark.parametrize("lengths", [[8], [4, 4, 4, 4], [12, 4, 4, 4]])
def test_dropout_of_attention_equals_a_plain_one_of_the_same_draws(lengths: list[int], dropout: float) -> None:
    heads = 2
    qkv = torch.randn(sum(lengths), 3 * heads * 4, requires_grad=True)
    groups = group_windows(lengths)

    def plain() -> Tensor:
        mixed = []
        for one in groups:
            q, k, v = qkv[one.rows].view(one.count, one.length, 3, heads, 4).permute(2, 0, 3, 1, 4)
            probabilities = (q @ k.transpose(-1, -2) / 2).softmax(-1)
            drawn = draw_bytes(probabilities)
            mixed.append((probabilities * keep_mask(drawn, dropout, torch.float32) @ v).transpose(1, 2).reshape(-1, 8))
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
