"""Losses of logits against gold tags, each with its gradient."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from thinc.api import get_array_module, to_numpy
from thinc.types import Ragged

from spacy_bert_ner.arrays import Array, Ints
from spacy_bert_ner.decoding import Lattice, tag_marginals
from spacy_bert_ner.encoder.vectors import first_pieces

from .component_settings import Loss
from .gold import NO_TAG

# Added to the logit of a tag that the gold annotation rules out. Finite, so that gold tags that break the scheme's
# rules, as misaligned ones can, cost much instead of everything.
RULED_OUT = -1e4


def loss_of_rows(
    loss: Loss,
    lattice: Lattice,
    rows: Ragged,
    sizes: Sequence[int],
    tags: Ints,
    rows_of_batch: Callable[[int], int] = int,
) -> tuple[float, Ragged]:
    """Compute the loss of what the head gives: one row of logits a token, or several.

    loss (str): "token" or "sequence".
    lattice (Lattice): The legal sequences.
    rows (Ragged): Logits. (rows, tags), rows per token
    sizes (Sequence[int]): Tokens of each document. (documents,)
    tags (Ints): Gold tag of each token, -1 where it is missing. (tokens,)
    rows_of_batch (Callable[[int], int]): Gives the annotated rows of the whole batch for those that are here.
    RETURNS (tuple[float, Ragged]): The loss in nats, and its gradient.
    """
    logits: Any = rows.dataXd
    gradient: Any
    if loss == "token":
        value, gradient = token_loss(logits, np.repeat(tags, np.asarray(rows.lengths)), rows_of_batch)
        return value, Ragged(gradient, rows.lengths)
    xp = get_array_module(logits)
    # Where several pieces of a word have logits, its first one decides.
    first = xp.asarray(first_pieces(np.asarray(rows.lengths)))
    value, of_first = sequence_loss(lattice, logits[first], np.array(sizes), tags, rows_of_batch)
    gradient = xp.zeros_like(logits)
    gradient[first] = of_first
    return value, Ragged(gradient, rows.lengths)


def token_loss(logits: Array, gold: Ints, rows_of_batch: Callable[[int], int] = int) -> tuple[float, Array]:
    """Compute the cross-entropy of each token's tag, whatever its neighbours': the mean over known tokens.

    logits (Array): (rows, tags)
    gold (Ints): Gold tag of each row, -1 where it is missing. (rows,)
    rows_of_batch (Callable[[int], int]): Gives the annotated rows of the whole batch for those that are here.
    RETURNS (tuple[float, Array]): The loss in nats, and its gradient, zero where the gold tag is missing.
    """
    xp: ModuleType = get_array_module(logits)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs = shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))
    known = gold != NO_TAG
    count = max(rows_of_batch(int(known.sum())), 1)
    at = xp.asarray(np.flatnonzero(known)), xp.asarray(gold[known])
    gradient = xp.zeros_like(logits)
    gradient[at[0]] = xp.exp(log_probs[at[0]])
    gradient[at] -= 1.0
    return -float(log_probs[at].sum()) / count, gradient / count


def sequence_loss(
    lattice: Lattice, logits: Array, lengths: Ints, gold: Ints, rows_of_batch: Callable[[int], int] = int
) -> tuple[float, Array]:
    """Compute the negative log-likelihood of the gold tags among all legal sequences, divided by the known tokens.

    Where gold tags are missing, the likelihood is that of all legal sequences that agree with those that are known.

    lattice (Lattice): The legal sequences.
    logits (Array): (rows, tags)
    lengths (Ints): Rows of each sequence. (sequences,)
    gold (Ints): Gold tag of each row, -1 where it is missing. (rows,)
    rows_of_batch (Callable[[int], int]): Gives the annotated rows of the whole batch for those that are here.
    RETURNS (tuple[float, Array]): The loss in nats, and its gradient: the tags' posteriors less those given the gold.
    Source: Lafferty et al. 2001; Tsuboi et al. 2008 (partial annotation).
    """
    xp = get_array_module(logits)
    sizes = lattice.check(logits, lengths)
    free = to_numpy(logits).astype(np.float64)
    known = gold != NO_TAG
    bound = free + np.where(known[:, None] & (gold[:, None] != np.arange(free.shape[1])), RULED_OUT, 0.0)
    log_z, marginals = tag_marginals(lattice, np.concatenate([free, bound]), np.concatenate([sizes, sizes]))
    count = max(rows_of_batch(int(known.sum())), 1)
    half = len(free)
    loss = float(log_z[: len(sizes)].sum() - log_z[len(sizes) :].sum()) / count
    return loss, xp.asarray(((marginals[:half] - marginals[half:]) / count).astype(logits.dtype))
