"""encoder.onnx: the network (encoder/network/transformer.py) over padded windows.

    ids ─► embeddings ─► [ q, k, v ─► attention ─► mix ─► norm ─► expand ─► activation ─► contract ─► norm ] a layer
    (windows, length)                  masked                  residuals around both halves  ─► (windows, length, width)

Weights have the names of Encoder's state_dict. A linear layer whose weight is int8 multiplies integers: see
linear_graph.py.
"""

import numpy as np
import torch

from spacy_bert_ner.arrays import Array
from spacy_bert_ner.encoder.network.kinds import NetworkShape
from spacy_bert_ner.encoder.network.transformer import bucket
from spacy_bert_ner.exported.graph_files import WEIGHTS
from spacy_bert_ner.exported.padding import padded_length

from .graph_writer import GraphWriter
from .linear_graph import State, values_of, write_linear, write_table

# What a masked place's score is lowered by: its probability is 0 then, and ONNX Runtime's softmax stays finite.
MASKED = -1e9


def write_encoder(state: State, shape: NetworkShape) -> tuple[bytes, bytes]:
    """Write an encoder, but for its document memory, as a graph.

    state (State): Its weights; with case features where there is casing.weight.
    shape (NetworkShape): Of its network.
    RETURNS (tuple[bytes, bytes]): encoder.onnx and encoder.weights: from `ids` and, with case features, `shapes`,
        (windows, length) int64, and `mask`, (windows, length) bool, to `vectors`, (windows, length, width) fp32;
        anything finite where the mask is false.
    """
    graph = GraphWriter("encoder", WEIGHTS)
    names = ("ids", "shapes") if "casing.weight" in state else ("ids",)
    for name in names:
        graph.add_input(name, "int64", ("windows", "length"))
    graph.add_input("mask", "bool", ("windows", "length"))
    rows = write_embeddings(graph, state, shape)
    bias = write_bias(graph, state, shape)
    for i in range(shape.layers):
        rows = write_layer(graph, state, shape, rows, bias, i)
    return graph.to_bytes("vectors", ("windows", "length", shape.width)), bytes(graph.weights)


def write_embeddings(graph: GraphWriter, state: State, shape: NetworkShape) -> str:
    """Write the sum of a piece's embeddings, and its norm. RETURNS (str): (windows, length, width)."""
    place = "network.embeddings"
    rows = write_table(graph, state, f"{place}.words", "ids", "embeddings.of_ids")
    if "casing.weight" in state:
        shapes = write_table(graph, state, "casing", "shapes", "embeddings.of_shapes")
        rows = graph.node("Add", [rows, shapes], "embeddings.with_shapes")
    length = graph.node("Shape", ["ids"], "length", start=1, end=2)
    table = graph.constant("embeddings.positions", position_table(state, shape))
    positions = graph.node("Slice", [table, graph.numbers(0), length, graph.numbers(0)], "embeddings.of_positions")
    rows = graph.node("Add", [rows, positions], "embeddings.sum")
    rows = write_norm(graph, state, f"{place}.norm", shape.eps, rows, "embeddings")
    if f"{place}.project.weight" not in state:
        return rows
    return write_linear(graph, state, f"{place}.project", rows, "embeddings.projected")


def position_table(state: State, shape: NetworkShape) -> Array:
    """RETURNS (Array): The positions from the first piece's on, the type's embedding added, rounded up in number."""
    table = values_of(state["network.embeddings.positions.weight"])[shape.first_position :]
    if shape.types:
        table = table + values_of(state["network.embeddings.types.weight"])[0]
    return np.pad(table, ((0, padded_length(len(table)) - len(table)), (0, 0)))


def write_bias(graph: GraphWriter, state: State, shape: NetworkShape) -> str:
    """Write what is added to attention's scores. RETURNS (str): (windows, heads or 1, 1 or length, length)."""
    masked = [graph.constant("zero", np.zeros((), np.float32)), graph.constant("masked", np.array(MASKED, np.float32))]
    wide = graph.node("Unsqueeze", ["mask", graph.numbers(1, 2)], "mask.wide")
    bias = graph.node("Where", [wide, *masked], "mask.bias")
    if not shape.buckets:
        return bias
    # For the longest window; a shorter one has the upper left corner of it.
    at = torch.arange(padded_length(shape.positions - shape.first_position))
    table = graph.constant("buckets", bucket(at[None, :] - at[:, None]).to(torch.uint8).numpy())
    ends = graph.node("Concat", ["length", "length"], "lengths", axis=0)
    corner = graph.node("Slice", [table, graph.numbers(0, 0), ends, graph.numbers(0, 1)], "buckets.corner")
    indices = graph.node("Cast", [corner], "buckets.indices", to=graph.type_of("int64"))
    by_bucket = graph.constant("relative", values_of(state["network.relative.weight"]).T)
    relative = graph.node("Gather", [by_bucket, indices], "relative.bias", axis=1)
    return graph.node("Add", [bias, relative], "bias")


def write_layer(graph: GraphWriter, state: State, shape: NetworkShape, rows: str, bias: str, index: int) -> str:
    """Write a layer. RETURNS (str): (windows, length, width); "vectors" of the last one."""
    place, name = f"network.layer.{index}", f"layer.{index}"
    seen = write_attention(graph, state, shape, rows, bias, index)
    mixed = write_linear(graph, state, f"{place}.attention.mix", seen, f"{name}.mix")
    rows = graph.node("Add", [mixed, rows], f"{name}.attended")
    rows = write_norm(graph, state, f"{place}.attention.norm", shape.eps, rows, f"{name}.between")
    hidden = write_linear(graph, state, f"{place}.expand", rows, f"{name}.expand")
    hidden = write_activation(graph, shape.activation, hidden, f"{name}.activation")
    hidden = write_linear(graph, state, f"{place}.contract", hidden, f"{name}.contract")
    rows = graph.node("Add", [hidden, rows], f"{name}.sum")
    output = "vectors" if index + 1 == shape.layers else name
    return write_norm(graph, state, f"{place}.norm", shape.eps, rows, output)


def write_attention(graph: GraphWriter, state: State, shape: NetworkShape, rows: str, bias: str, index: int) -> str:
    """Write attention. RETURNS (str): (windows, length, width)."""
    name, width, heads = f"layer.{index}", shape.width, shape.heads
    orders = {"q": (0, 2, 1, 3), "k": (0, 2, 3, 1), "v": (0, 2, 1, 3)}
    parts = []
    for i, (part, order) in enumerate(orders.items()):
        own = slice(i * width, (i + 1) * width)
        # The scores' scale goes into the queries.
        scale = (width // heads) ** -0.5 if part == "q" else 1.0
        place, output = f"network.{name}.attention.qkv", f"{name}.{part}"
        linear = write_linear(graph, state, place, rows, output, own, scale)
        by_head = graph.node("Reshape", [linear, graph.numbers(0, 0, heads, width // heads)], f"{output}.heads")
        parts.append(graph.node("Transpose", [by_head], f"{output}.by_head", perm=order))
    query, key, value = parts
    scores = graph.node("Add", [graph.node("MatMul", [query, key], f"{name}.products"), bias], f"{name}.scores")
    probabilities = graph.node("Softmax", [scores], f"{name}.probabilities", axis=-1)
    seen = graph.node("MatMul", [probabilities, value], f"{name}.seen_by_head")
    seen = graph.node("Transpose", [seen], f"{name}.seen_heads", perm=(0, 2, 1, 3))
    return graph.node("Reshape", [seen, graph.numbers(0, 0, width)], f"{name}.seen")


def write_activation(graph: GraphWriter, activation: str, rows: str, output: str) -> str:
    """Write the function between a feed-forward network's layers. activation: see kinds.GELU_FORMS."""
    if activation == "relu":
        return graph.node("Relu", [rows], output)
    if activation == "silu":
        return graph.node("Mul", [rows, graph.node("Sigmoid", [rows], f"{output}.sigmoid")], output)
    return graph.node("Gelu", [rows], output, approximate=activation)


def write_norm(graph: GraphWriter, state: State, place: str, eps: float, rows: str, output: str) -> str:
    """Write a norm over the last axis. RETURNS (str): `output`."""
    own = [graph.constant(f"{output}.norm.{part}", values_of(state[f"{place}.{part}"])) for part in ("weight", "bias")]
    return graph.node("LayerNormalization", [rows, *own], output, axis=-1, epsilon=eps)
