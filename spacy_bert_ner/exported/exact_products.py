"""Whether ONNX Runtime multiplies int8 right on this processor.

Without instructions that sum four products in 32 bits (VNNI) its kernels sum two of them in 16 bits, which are too few,
and say nothing. It can be told to take other kernels, which take half as long again where it is needless. So an export
holds a product of the largest numbers, probe.onnx, and what that gives is compared with the exact result.
"""

import functools

import numpy as np

from spacy_bert_ner.arrays import Array

from .graph_files import Graph
from .sessions import GraphSession

INPUTS, OUTPUTS = 384, 48
# One text's and a batch's: there may be other kernels for them.
ROWS = (1, 48)


def extreme_weight() -> Array:
    """RETURNS (Array): (OUTPUTS, INPUTS) int8: the largest weights of either sign."""
    weight = np.full((OUTPUTS, INPUTS), 127, dtype=np.int8)
    weight[1::3] = -127
    weight[2::3, ::2] = -127
    return weight


def extreme_rows(count: int) -> Array:
    """RETURNS (Array): (count, INPUTS) fp32, to be rounded to the largest codes, and to 0 in between."""
    rows = np.full((count, INPUTS), 255, dtype=np.float32)
    rows[1::2, ::3] = 0
    return rows


@functools.cache
def products_are_exact(probe: bytes) -> bool:
    """Multiply the largest numbers, once in a process.

    probe (bytes): probe.onnx, which multiplies rows by extreme_weight.
    RETURNS (bool): Whether the products are those of whole numbers.
    """
    session, weight = GraphSession(Graph(probe), threads=1), extreme_weight().astype(np.int64)
    tried = [extreme_rows(count) for count in ROWS]
    return all(np.array_equal(session.run({"rows": rows}), rows.astype(np.int64) @ weight.T) for rows in tried)
