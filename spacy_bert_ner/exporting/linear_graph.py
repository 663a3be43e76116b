"""Linear layers and tables of embeddings as nodes: in fp32, or in int8 where they are saved so.

int8, as ONNX Runtime turns it into one product of integers that gives floats:

    rows ─► QuantizeLinear ─► DequantizeLinear ─► MatMul ─► Add
            scale and zero point that are stored   │
                       weight ─► DequantizeLinear ─┘  a scale for each output
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from spacy_bert_ner.arrays import Array

from .graph_writer import GraphWriter

# Weights by the names of Encoder's state_dict.
State = Mapping[str, Tensor]
ALL = slice(None)


def write_linear(
    graph: GraphWriter, state: State, place: str, rows: str, output: str, part: slice = ALL, factor: float = 1.0
) -> str:
    """Write a linear layer, or a part of its outputs.

    graph (GraphWriter): The graph.
    state (State): The weights; where the layer's is int8, what stands beside it, too: see encoder/quantized.py.
    place (str): The layer's name.
    rows (str): Its input.
    output (str): The name of its output.
    part (slice): The outputs.
    factor (float): What they are multiplied by.
    RETURNS (str): The output.
    """
    weight, bias = state[f"{place}.weight"][part], factor * values_of(state[f"{place}.bias"])[part]
    if weight.dtype != torch.int8:
        return graph.linear(rows, factor * values_of(weight), bias, output)
    scale, zero_point = values_of(state[f"{place}.input_scale"]), state[f"{place}.input_zero_point"].numpy()
    by = [
        graph.constant(f"{place}.input_scale", scale),
        graph.constant(f"{place}.input_zero_point", zero_point.astype(np.uint8)),
    ]
    # Once for all parts.
    floats = graph.once(f"{rows}.evened", lambda name: write_smoothing(graph, state, place, rows, name))
    codes = graph.once(f"{rows}.codes", lambda name: graph.node("QuantizeLinear", [floats, *by], name))
    inputs = graph.node("DequantizeLinear", [codes, *by], f"{output}.inputs")
    stored = [
        graph.constant(f"{output}.weight", weight.numpy().T),
        graph.constant(f"{output}.weight_scale", factor * values_of(state[f"{place}.weight_scale"])[part]),
        # Written out, as ONNX Runtime's own default for it has the wrong shape at times.
        graph.constant(f"{output}.weight_zero_point", np.zeros(len(weight), np.int8)),
    ]
    weights = graph.node("DequantizeLinear", stored, f"{output}.weights", axis=1)
    product = graph.node("MatMul", [inputs, weights], f"{output}.product")
    return graph.node("Add", [product, graph.constant(f"{output}.bias", bias)], output)


def write_smoothing(graph: GraphWriter, state: State, place: str, rows: str, output: str) -> str:
    """Divide the channels of an input by what evens them out. RETURNS (str): Output, or `rows` where nothing does."""
    if f"{place}.smoothing" not in state:
        return rows
    return graph.node(
        "Mul", [rows, graph.constant(f"{place}.smoothing", 1 / values_of(state[f"{place}.smoothing"]))], output
    )


def write_table(graph: GraphWriter, state: State, place: str, indices: str, output: str) -> str:
    """Look rows of a table up, as it is saved: fp32, fp16, or int8 with a scale a row. RETURNS (str): Output, fp32."""
    weight = state[f"{place}.weight"]
    if weight.dtype == torch.float32:
        return graph.node("Gather", [graph.constant(place, weight.numpy()), indices], output)
    short = graph.node("Gather", [graph.constant(place, weight.numpy()), indices], f"{output}.short")
    floats = graph.node("Cast", [short], f"{output}.floats", to=graph.type_of("float32"))
    if weight.dtype != torch.int8:
        return graph.node("Identity", [floats], output)
    scales = graph.constant(f"{place}.scale", values_of(state[f"{place}.weight_scale"])[:, None])
    return graph.node("Mul", [floats, graph.node("Gather", [scales, indices], f"{output}.scales")], output)


def values_of(tensor: Tensor) -> Array:
    """RETURNS (Array): A tensor's values, fp32."""
    values: Array = tensor.detach().float().cpu().numpy()
    return values
