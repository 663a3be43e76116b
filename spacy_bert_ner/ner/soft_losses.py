"""Losses of logits against distributions over tags, as another model gives them, each with its gradient.

Sums over the batch, not means: who calls them divides by what the batch holds.
"""

from types import ModuleType

import numpy as np
from thinc.api import get_array_module, to_numpy

from spacy_bert_ner.arrays import Array, Floats, Ints
from spacy_bert_ner.decoding import Lattice, tag_marginals


def soft_token_loss(logits: Array, targets: Floats, weights: Floats, temperature: float = 1.0) -> tuple[float, Array]:
    """Compute the cross-entropy of each token's tag to a distribution, whatever its neighbours'.

    logits (Array): (rows, tags)
    targets (Floats): The distributions, of the same temperature. (rows, tags)
    weights (Floats): What each row's loss is multiplied by. (rows,)
    temperature (float): What the logits are divided by. The loss is multiplied by its square, so that its gradient is
        of the same size at every temperature.
    RETURNS (tuple[float, Array]): The sum in nats, and its gradient.
    Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2.
    """
    xp: ModuleType = get_array_module(logits)
    wanted, weight = xp.asarray(targets, dtype=logits.dtype), xp.asarray(weights, dtype=logits.dtype)[:, None]
    log_probs = log_softmax(logits / temperature)
    gradient = weight * temperature * (xp.exp(log_probs) - wanted)
    return -float((weight * wanted * log_probs).sum()) * temperature**2, gradient


def soft_sequence_loss(
    lattice: Lattice, logits: Array, sizes: Ints, targets: Floats, weights: Floats, temperature: float = 1.0
) -> tuple[float, Array]:
    """Compute the cross-entropy of the whole tag sequence, among all legal ones, to a distribution over sequences.

    A sequence's logarithmic probability is the sum of its tags' logits less the logarithm of the partition function,
    since the lattice only allows or forbids: so of the other distribution only the tags' posteriors matter.

    lattice (Lattice): The legal sequences.
    logits (Array): (rows, tags)
    sizes (Ints): Rows of each sequence. (sequences,)
    targets (Floats): The tags' posteriors in the other distribution, of the same temperature. (rows, tags)
    weights (Floats): What each sequence's loss is multiplied by. (sequences,)
    temperature (float): As in `soft_token_loss`.
    RETURNS (tuple[float, Array]): The sum in nats, and its gradient.
    Source: Wang et al. 2020, "Structure-Level Knowledge Distillation For Multilingual Sequence Labeling".
    """
    xp = get_array_module(logits)
    cooled = to_numpy(logits).astype(np.float64) / temperature
    log_z, marginals = tag_marginals(lattice, cooled, sizes)
    weight = np.repeat(weights, sizes)[:, None]
    loss = float((weights * log_z).sum() - (weight * targets * cooled).sum()) * temperature**2
    return loss, xp.asarray((weight * temperature * (marginals - targets)).astype(logits.dtype))


def log_softmax(logits: Array) -> Array:
    """RETURNS (Array): The logarithm of each row's distribution; a row must hold a finite logit. (rows, tags)"""
    xp: ModuleType = get_array_module(logits)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))
