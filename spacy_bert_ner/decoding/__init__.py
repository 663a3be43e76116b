"""Decoding: the best legal tag sequence, and the posterior of each entity, vectorised over a batch.

Everywhere, `logits` is (rows, tags), the sequences of a batch one after another, and `lengths` is (sequences,), the
number of rows of each, zero allowed. All arrays are NumPy's. A logit that is NaN or -inf is the lowest there is, +inf
the highest, and a row that holds nothing else says nothing: no logit can make decoding fail or its output illegal.
"""

from .k_best import k_best
from .lattice import Lattice, Spans
from .likely_spans import likely_spans
from .search import tags_to_spans, viterbi
from .span_posteriors import Posteriors, span_posteriors
from .tag_marginals import tag_marginals

__all__ = [
    "Lattice",
    "Posteriors",
    "Spans",
    "k_best",
    "likely_spans",
    "span_posteriors",
    "tag_marginals",
    "tags_to_spans",
    "viterbi",
]
