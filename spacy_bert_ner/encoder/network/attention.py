"""Self-attention over windows that lie one after another without padding.

torch's own fused kernel for processors leaves the fast matrix instructions for bf16 unused: plain products with a
softmax between them take two thirds of its time, and a fifth of it on the way back. In fp32 they are no worse in
training, but the kernel is twice as fast where no gradients are wanted, so that it is left to do that.

Windows of about the same length attend together; what rounds their lengths up to the next multiple of STEP is masked:

    rows      AAAAAAAA BBBBBBB_ CCCC DDD_ EEE_          lengths 8 7 4 3 3
    groups    [A       B      ] [C   D    E  ]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from .dropout import draw_bytes, keep_mask

CPU = torch.device("cpu")

# Maximum number of windows of the same length that attend together on a processor: their probabilities should stay in
# its caches, and oneDNN makes and keeps a program for every shape of matrices. A GPU takes as many as there are.
TOGETHER = 4
# Lengths come in multiples of it: windows end at word boundaries, and would seldom be of the same length.
STEP = 4
GPU_STEP = 16


@dataclass(frozen=True)
class WindowGroup:
    """Windows of the same rounded length that follow each other.

    start (int): Their first row.
    length (int): Rows of each, the masked ones at its end counted.
    sizes (tuple[int, ...]): Rows of each without them.
    keep (Tensor | None): Which rows are not masked, (windows, 1, 1, length), where a kernel is to read it on a GPU.
    """

    start: int
    length: int
    sizes: tuple[int, ...]
    keep: Tensor | None = None

    @property
    def count(self) -> int:
        """RETURNS (int): How many windows they are."""
        return len(self.sizes)

    @property
    def rows(self) -> slice:
        """RETURNS (slice): Their rows."""
        return slice(self.start, self.start + self.count * self.length)


def group_windows(lengths: Sequence[int], device: torch.device = CPU) -> list[WindowGroup]:
    """WindowGroup windows of about the same length; those that are not neighbours stay apart.

    lengths (Sequence[int]): Rows of each window.
    device (torch.device): Where they attend.
    RETURNS (list[WindowGroup]): The groups, on a processor each of TOGETHER windows at most.
    """
    step = STEP if device.type == "cpu" else GPU_STEP
    groups, start = [], 0
    for length, same in groupby(lengths, key=lambda size: round_up(size, step)):
        sizes = tuple(same)
        together = TOGETHER if device.type == "cpu" else len(sizes)
        for part in (sizes[i : i + together] for i in range(0, len(sizes), together)):
            # Once for all layers: on a GPU each small tensor costs a launch.
            keep = None if device.type == "cpu" else _keep(part, length, device)
            groups.append(WindowGroup(start, length, part, keep))
            start += len(part) * length
    return groups


def _keep(sizes: Sequence[int], length: int, device: torch.device) -> Tensor | None:
    if min(sizes) == length:
        return None
    return (torch.arange(length) < torch.tensor(sizes)[:, None])[:, None, None].to(device)


def rounded(count: int) -> int:
    """Round a number of rows up, so that matrices come in few shapes.

    count (int): Rows.
    RETURNS (int): A few more.
    """
    return round_up(count, 16 if count <= 256 else 64)


def round_up(count: int, step: int) -> int:
    """RETURNS (int): The next multiple of `step`."""
    return -(-count // step) * step


def row_indices(groups: Sequence[WindowGroup]) -> Tensor:
    """RETURNS (Tensor): (rows,) where the windows' own rows are, window by window, among the masked ones."""
    starts = [one.start + i * one.length for one in groups for i in range(one.count)]
    sizes = [size for one in groups for size in one.sizes]
    return torch.cat([torch.arange(start, start + size) for start, size in zip(starts, sizes, strict=True)])


def attend(
    qkv: Tensor, groups: Sequence[WindowGroup], heads: int, bias: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """Let every row of a window attend to all rows of its window (Vaswani et al. 2017).

    qkv (Tensor): (rows, 3 * width) queries, keys and values of each row, each of them by head.
    groups (Sequence[WindowGroup]): The windows, from the first row on; rows behind them belong to none.
    heads (int): How many heads share the width.
    bias (Tensor | None): (heads, length, length) added to the scaled scores, of the longest window at least.
    dropout (float): The share of the probabilities that is dropped.
    RETURNS (Tensor): (rows, width), zero behind the windows, anything finite for masked rows.
    """
    if qkv.device.type != "cpu" or (qkv.dtype == torch.float32 and not dropout and not torch.is_grad_enabled()):
        return _by_kernel(qkv, groups, heads, bias, dropout)
    if not torch.is_grad_enabled():
        return _mix(qkv, bias, groups, heads, dropout)
    return cast(Tensor, Attention.apply(qkv, bias, groups, heads, dropout))


class Attention(torch.autograd.Function):
    """See attend."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, bias: Tensor | None, groups: Sequence[WindowGroup], heads: int, dropout: float
    ) -> Tensor:
        """Keep the probabilities, which are cheap to store and expensive to recompute."""
        saved: list[Tensor | None] = []
        with torch.autocast(qkv.device.type, enabled=False):
            mixed = _mix(qkv, bias, groups, heads, dropout, saved)
        ctx.save_for_backward(*saved)
        ctx.groups, ctx.heads, ctx.dropout = groups, heads, dropout
        ctx.bias = None if bias is None else (bias.shape, bias.dtype)
        return mixed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        """The gradients of queries, keys and values, and of the bias."""
        (d_mixed,) = gradients
        d_qkv = _empty(d_mixed, 3 * d_mixed.shape[1], ctx.groups)
        d_bias = None if ctx.bias is None else d_mixed.new_zeros(ctx.bias[0], dtype=torch.float32)
        for i, one in enumerate(ctx.groups):
            q, k, v, probabilities, drawn = ctx.saved_tensors[5 * i : 5 * i + 5]
            (d_out,) = _by_head(d_mixed, one, ctx.heads, 1)
            d_v = torch.bmm(_drop(probabilities, drawn, ctx.dropout).transpose(1, 2), d_out)
            d_probabilities = _drop(torch.bmm(d_out, v.transpose(1, 2)), drawn, ctx.dropout)
            d_scores = torch._softmax_backward_data(d_probabilities, probabilities, -1, probabilities.dtype)
            if d_bias is not None:
                by_window = d_scores.view(one.count, ctx.heads, one.length, one.length)
                d_bias[:, : one.length, : one.length] += by_window.sum(0, dtype=torch.float32)
            scale = q.shape[-1] ** -0.5
            d_q, d_k = _product(d_scores, k, scale), _product(d_scores.transpose(1, 2), q, scale)
            _put_back(d_qkv, one, ctx.heads, torch.stack((d_q, d_k, d_v)))
        return d_qkv, None if d_bias is None else d_bias.to(ctx.bias[1]), None, None, None


def _mix(
    qkv: Tensor,
    bias: Tensor | None,
    groups: Sequence[WindowGroup],
    heads: int,
    dropout: float,
    saved: list[Tensor | None] | None = None,
) -> Tensor:
    """Attend by plain products. saved: takes what the way back needs of each group. RETURNS (Tensor): (rows, width)."""
    mixed = _empty(qkv, qkv.shape[1] // 3, groups)
    for one in groups:
        q, k, v = _by_head(qkv, one, heads, 3).unbind()
        scores = _product(q, k.transpose(1, 2), q.shape[-1] ** -0.5)
        if bias is not None:
            by_window = scores.view(one.count, heads, one.length, one.length)
            by_window += bias[:, : one.length, : one.length].to(scores.dtype)
        _mask(scores, one)
        probabilities = scores.softmax(-1)
        # A byte a probability: half of what they take dropped, in bf16.
        drawn = draw_bytes(probabilities) if dropout else None
        _put_back(mixed, one, heads, torch.bmm(_drop(probabilities, drawn, dropout), v)[None])
        if saved is not None:
            saved += [q, k, v, probabilities, drawn]
    return mixed


def _drop(values: Tensor, drawn: Tensor | None, rate: float) -> Tensor:
    return values if drawn is None else values * keep_mask(drawn, rate, values.dtype)


def _mask(scores: Tensor, one: WindowGroup) -> None:
    """Mask out rows that are no piece's. scores: (windows * heads, length, length), or with one row for all."""
    if min(one.sizes) == one.length:
        return
    by_window = scores.view(one.count, -1, *scores.shape[-2:])
    for i, size in enumerate(one.sizes):
        if size < one.length:
            by_window[i, ..., size:] = -torch.inf


def _by_kernel(qkv: Tensor, groups: Sequence[WindowGroup], heads: int, bias: Tensor | None, dropout: float) -> Tensor:
    """Attend by torch's own kernel, which draws dropout itself."""
    parts = []
    for one in groups:
        q, k, v = qkv[one.rows].view(one.count, one.length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        mask = one.keep if qkv.device.type != "cpu" else _keep(one.sizes, one.length, qkv.device)
        if bias is not None:
            own = bias[:, : one.length, : one.length].to(qkv.dtype)
            mask = own[None] if mask is None else torch.where(mask, own, -torch.inf)
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        parts.append(mixed.transpose(1, 2).reshape(one.count * one.length, -1))
    behind = len(qkv) - groups[-1].rows.stop
    return torch.cat([*parts, qkv.new_zeros(behind, qkv.shape[1] // 3)])


def _empty(rows: Tensor, width: int, groups: Sequence[WindowGroup]) -> Tensor:
    """RETURNS (Tensor): (rows, width), zero behind the groups, anything elsewhere."""
    made = rows.new_empty(len(rows), width)
    behind = groups[-1].rows.stop
    if behind < len(rows):
        made[behind:] = 0
    return made


def _by_head(rows: Tensor, one: WindowGroup, heads: int, parts: int) -> Tensor:
    """Take a group's rows apart. RETURNS (Tensor): (parts, windows * heads, length, width of a head)."""
    taken = rows[one.rows].view(one.count, one.length, parts, heads, -1)
    return taken.permute(2, 0, 3, 1, 4).reshape(parts, one.count * heads, one.length, -1)


def _put_back(rows: Tensor, one: WindowGroup, heads: int, values: Tensor) -> None:
    """Write what `_by_head` takes apart. values: (parts, windows * heads, length, width of a head)."""
    parts = len(values)
    by_head = values.reshape(parts, one.count, heads, one.length, -1).permute(1, 3, 0, 2, 4)
    rows[one.rows].view(one.count, one.length, parts, heads, -1).copy_(by_head)


def _product(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """Multiply matrices and a number at once. RETURNS (Tensor): (windows * heads, ...)."""
    return torch.baddbmm(left.new_empty(1), left, right, beta=0, alpha=scale)
