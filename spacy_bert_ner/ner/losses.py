"""Losses of tag scores against gold tags, each with its gradient."""

from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
from thinc.api import get_array_module, to_numpy

from spacy_bert_ner.decoding.lattice import Array, Ints, Lattice, Steps, offsets

from .gold import UNKNOWN

# Added to the score of a tag that the gold annotation rules out. Finite, so that gold tags that break the scheme's
# rules, as misaligned ones can, cost much instead of everything.
_RULED_OUT = -1e4


def token_loss(scores: Array, gold: Ints) -> tuple[float, Array]:
    """Compute the cross-entropy of each token's tag, whatever its neighbours': the mean over known tokens.

    scores (Array): (rows, tags)
    gold (Ints): Gold tag of each row, -1 where it is missing. (rows,)
    RETURNS (tuple[float, Array]): The loss in nats, and its gradient, zero where the gold tag is missing.
    """
    xp: ModuleType = get_array_module(scores)
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_probs = shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))
    known = gold != UNKNOWN
    count = max(int(known.sum()), 1)
    at = xp.asarray(np.flatnonzero(known)), xp.asarray(gold[known])
    gradient = xp.zeros_like(scores)
    gradient[at[0]] = xp.exp(log_probs[at[0]])
    gradient[at] -= 1.0
    return -float(log_probs[at].sum()) / count, gradient / count


def sequence_loss(lattice: Lattice, scores: Array, lengths: Ints, gold: Ints) -> tuple[float, Array]:
    """Compute the negative log-likelihood of the gold tags among all legal sequences, divided by the known tokens.

    Where gold tags are missing, the likelihood is that of all legal sequences that agree with those that are known.

    lattice (Lattice): The legal sequences.
    scores (Array): (rows, tags)
    lengths (Ints): Rows of each sequence. (sequences,)
    gold (Ints): Gold tag of each row, -1 where it is missing. (rows,)
    RETURNS (tuple[float, Array]): The loss in nats, and its gradient: the tags' posteriors less those given the gold.
    Source: Lafferty et al. 2001; Tsuboi et al. 2008 (partial annotation).
    """
    xp = get_array_module(scores)
    sizes = lattice.check(scores, lengths)
    free = to_numpy(scores).astype(np.float64)
    known = gold != UNKNOWN
    bound = free + np.where(known[:, None] & (gold[:, None] != np.arange(free.shape[1])), _RULED_OUT, 0.0)
    log_z, marginals = _tag_marginals(lattice, np.concatenate([free, bound]), np.concatenate([sizes, sizes]))
    count = max(int(known.sum()), 1)
    half = len(free)
    loss = float(log_z[: len(sizes)].sum() - log_z[len(sizes) :].sum()) / count
    return loss, xp.asarray(((marginals[:half] - marginals[half:]) / count).astype(scores.dtype))


def _tag_marginals(lattice: Lattice, scores: Array, sizes: Ints) -> tuple[Array, Array]:
    """Sum over legal sequences by forward-backward. RETURNS: logs, (sequences,); posteriors, (rows, tags)."""
    steps = Steps.of(offsets(sizes)[:-1], sizes)
    with np.errstate(divide="ignore"):
        start, end, follow = (np.log(may) for may in (lattice.starts, lattice.ends, lattice.transitions))
    emitted = scores[steps.rows]
    forward, backward = np.empty_like(emitted), np.empty_like(emitted)
    bounds = steps.bounds
    for k, (low, high) in enumerate(pairwise(bounds)):
        before = start if k == 0 else _log_sum(forward[bounds[k - 1] : bounds[k - 1] + high - low, :, None] + follow, 1)
        forward[low:high] = before + emitted[low:high]
    for k in range(len(bounds) - 2, -1, -1):
        low, high = bounds[k], bounds[k + 1]
        backward[low:high] = end
        if k + 2 < len(bounds):
            onward = (backward[high : bounds[k + 2]] + emitted[high : bounds[k + 2]])[:, None, :]
            backward[low : low + onward.shape[0]] = _log_sum(onward + follow, 2)
    living = bounds[1] if len(bounds) > 1 else 0
    log_z = np.zeros(len(sizes))
    log_z[steps.order[:living]] = _log_sum(forward[:living] + backward[:living], 1)
    marginals = np.empty_like(scores)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    marginals[steps.rows] = forward + backward
    return log_z, np.exp(marginals - log_z[owner, None])


def _log_sum(values: Any, axis: int) -> Any:
    most = values.max(axis=axis, keepdims=True)
    most = np.where(np.isfinite(most), most, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(values - most).sum(axis=axis)) + most.squeeze(axis)
