"""probe.onnx: a product of the largest numbers, by which a processor is tried."""

import torch

from spacy_bert_ner.exported.exact_products import INPUTS, OUTPUTS, extreme_weight

from .graph_writer import GraphWriter
from .linear_graph import write_linear


def write_probe() -> bytes:
    """Write a linear layer as those of encoder.onnx in int8.

    RETURNS (bytes): probe.onnx: from `rows`, (rows, INPUTS) fp32, to `products`, (rows, OUTPUTS) fp32.
    """
    state = {
        "probe.weight": torch.from_numpy(extreme_weight()),
        "probe.weight_scale": torch.ones(OUTPUTS),
        "probe.bias": torch.zeros(OUTPUTS),
        "probe.input_scale": torch.tensor(1.0),
        "probe.input_zero_point": torch.tensor(0, dtype=torch.int32),
    }
    graph = GraphWriter("probe")
    rows = graph.add_input("rows", "float32", ("rows", INPUTS))
    return graph.to_bytes(write_linear(graph, state, "probe", rows, "products"), ("rows", OUTPUTS))
