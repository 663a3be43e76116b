"""Decoding: the best legal tag sequence, and the posterior of each entity, vectorised over a batch.

Everywhere, `scores` is (rows, tags), the sequences of a batch one after another, and `lengths` is (sequences,), the
number of rows of each, zero allowed. Arrays are NumPy's, or CuPy's where the scores are; what comes back about entities
is NumPy. A score that is NaN or -inf is the worst there is, +inf the best, and a row that holds nothing else says
nothing: no score can make decoding fail or its output illegal.
"""

from .lattice import Lattice, Spans
from .marginals import Posteriors, posteriors
from .search import read_spans, viterbi

__all__ = ["Lattice", "Posteriors", "Spans", "posteriors", "read_spans", "viterbi"]
