"""The posterior probability of each tag among all legal tag sequences, which the sequence loss is made of."""

from itertools import pairwise

import numpy as np

from spacy_bert_ner.arrays import Array, Ints

from .lattice import Lattice, Steps, offsets


def tag_marginals(lattice: Lattice, logits: Array, sizes: Ints) -> tuple[Array, Array]:
    """Sum over all legal sequences by forward-backward.

    lattice (Lattice): The legal sequences.
    logits (Array): (rows, tags), doubles
    sizes (Ints): Rows of each sequence. (sequences,)
    RETURNS (tuple[Array, Array]): Logarithm of each sequence's partition function, (sequences,); and the tags'
        posteriors, (rows, tags).
    Source: forward-backward (Baum et al. 1970), in log space.
    """
    steps = Steps.of(offsets(sizes)[:-1], sizes)
    with np.errstate(divide="ignore"):
        start, end, follow = (np.log(may) for may in (lattice.starts, lattice.ends, lattice.transitions))
    emitted = logits[steps.rows]
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
    marginals = np.empty_like(logits)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    marginals[steps.rows] = forward + backward
    return log_z, np.exp(marginals - log_z[owner, None])


def _log_sum(values: Array, axis: int) -> Array:
    most = values.max(axis=axis, keepdims=True)
    most = np.where(np.isfinite(most), most, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(values - most).sum(axis=axis)) + most.squeeze(axis)
