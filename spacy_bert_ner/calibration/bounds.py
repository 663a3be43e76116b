"""Lower bounds of a share of entities, where documents are the independent units, not entities."""

import numpy as np

from spacy_bert_ner.arrays import Array, Floats

# The variance of the difference of two shares, each of as many documents, as a multiple of that of one.
_OF_A_DIFFERENCE = 2.0


def share_bounds(right: Array, counted: Array, risk: float) -> Floats:
    """Bound shares from below, one at each threshold.

    With at most the given probability, the share on as many other documents of the same source is below the bound, so
    that whoever measures it there finds what was promised; that the share of all documents of the source is below the
    bound is less probable still. Other documents vary as much as these, and the difference of both has twice the
    variance of one.

    The entities of a document succeed and fail together, so that they tell less than as many independent ones: as many
    as the variance between documents says, at most as many as there are. The binomial bound of so many is taken, which
    is right for few failures, where a normal approximation promises too much.

    right, counted (Array): Of each document, the entities that are right, and all that count. (documents, thresholds)
    risk (float): Above 0 and below 0.5.
    RETURNS (Floats): 0 to 1; 0 with fewer than two documents that have entities, or nothing right. (thresholds,)
    Source: Korn & Graubard 1998, after Clopper & Pearson 1934; the design effect by linearisation, Kish 1965.
    """
    from scipy.special import betaincinv, stdtrit

    total, documents = counted.sum(axis=0), (counted > 0).sum(axis=0)
    entities = np.maximum(total, 1)
    share = right.sum(axis=0) / entities
    effect = _OF_A_DIFFERENCE * np.maximum(_design_effects(right, counted), 1.0)
    # What is known of the variance itself: as many degrees of freedom as documents, less one.
    degrees = np.maximum(documents - 1, 1), np.maximum(total - 1, 1)
    known = (stdtrit(degrees[1], 1 - risk) / stdtrit(degrees[0], 1 - risk)) ** 2
    size = total / effect * np.minimum(known, 1.0)
    successes = size * share
    bounds: Floats = betaincinv(np.maximum(successes, 1e-9), size - successes + 1, risk)
    return np.where((documents > 1) & (successes > 0), bounds, 0.0)


def _design_effects(right: Array, counted: Array) -> Floats:
    """Compare the variance of shares between documents with that of independent entities. RETURNS: (thresholds,)."""
    entities, documents = np.maximum(counted.sum(axis=0), 1), (counted > 0).sum(axis=0)
    share = right.sum(axis=0) / entities
    between = ((right - share * counted) ** 2).sum(axis=0) / entities**2 * documents / np.maximum(documents - 1, 1)
    independent = share * (1 - share) / entities
    return np.divide(between, independent, out=np.ones_like(between), where=independent > 0)
