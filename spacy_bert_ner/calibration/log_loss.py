"""The log loss of a score, and its log-odds, for fitting and measuring."""

import numpy as np

from spacy_bert_ner.arrays import Array, Floats

# Scores are clipped to this distance from 0 and 1, so that a confident and wrong entity costs 16, not infinity.
_MARGIN = 1e-7


def loss_of_each(scores: Array, right: Array) -> Floats:
    """Compute the negative log-likelihood of right or wrong under each score, in nats.

    scores (Array): Probabilities of being right. (..., entities)
    right (Array): (entities,), bool
    RETURNS (Floats): (..., entities)
    Source: the logarithmic score, Good 1952.
    """
    sure = np.clip(scores, _MARGIN, 1 - _MARGIN)
    return -np.log(np.where(right, sure, 1 - sure))


def shift_log_odds(scores: Array, offsets: Array | float) -> Floats:
    """Add to the log-odds of probabilities; 0 and 1 stay what they are, and the order stays for one offset.

    scores (Array): From 0 to 1. (..., entities)
    offsets (Array | float): Broadcast against the scores.
    RETURNS (Floats): From 0 to 1. (..., entities)
    """
    factor = np.exp(offsets)
    shifted: Floats = scores * factor / (scores * factor + (1 - scores))
    return shifted
