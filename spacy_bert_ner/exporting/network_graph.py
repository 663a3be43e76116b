"""encoder.onnx: the network (encoder/network/transformer.py) over padded windows.

ids ─► embeddings ─► [ q, k, v ─► attention ─► mix ─► norm ─► expand ─► activation ─► contract ─► norm ] a layer
(windows, length)                  masked                  residuals around both halves  ─► (windows, length, width)
"""

from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from spacy_bert_ner.arrays import Array
from spacy_bert_ner.encoder.network.module import Encoder
from spacy_bert_ner.encoder.network.transformer import Embeddings, Layer, Transformer, bucket
from spacy_bert_ner.exported.graph_files import WEIGHTS
from spacy_bert_ner.exported.padding import padded_length

from .graph_writer import GraphWriter

# What a masked place's score is lowered by: its probability is 0 then, and ONNX Runtime's softmax stays finite.
MASKED = -1e9


def write_encoder(encoder: Encoder) -> tuple[bytes, bytes]:
    """Write an encoder, but for its document memory, as a graph.

    encoder (Encoder): The module with fp32 weights, its network one of ours.
    RETURNS (tuple[bytes, bytes]): encoder.onnx and encoder.weights: from `ids` and, with case features, `shapes`,
        (windows, length) int64, and `mask`, (windows, length) bool, to `vectors`, (windows, length, width) fp32;
        anything finite where the mask is false.
    """
    network = encoder.network
    assert isinstance(network, Transformer)
    graph = GraphWriter("encoder", WEIGHTS)
    names = ("ids", "shapes") if encoder.case_features else ("ids",)
    for name in names:
        graph.add_input(name, "int64", ("windows", "length"))
    graph.add_input("mask", "bool", ("windows", "length"))
    rows = write_embeddings(graph, network.embeddings, encoder.casing.weight if encoder.case_features else None)
    bias = write_bias(graph, network)
    for i, layer in enumerate(cast(Iterable[Layer], network.layer)):
        last = i + 1 == len(network.layer)
        rows = write_layer(graph, layer, rows, bias, network.shape.activation, f"layer.{i}", last)
    return graph.to_bytes("vectors", ("windows", "length", network.width)), bytes(graph.weights)


def write_embeddings(graph: GraphWriter, embeddings: Embeddings, casing: Tensor | None) -> str:
    """Write the sum of a piece's embeddings, and its norm. RETURNS (str): (windows, length, width)."""
    words = graph.constant("embeddings.words", values_of(embeddings.words.weight))
    rows = graph.node("Gather", [words, "ids"], "embeddings.of_ids")
    if casing is not None:
        shapes = graph.node("Gather", [graph.constant("casing", values_of(casing)), "shapes"], "embeddings.of_shapes")
        rows = graph.node("Add", [rows, shapes], "embeddings.with_shapes")
    length = graph.node("Shape", ["ids"], "length", start=1, end=2)
    table = graph.constant("embeddings.positions", position_table(embeddings))
    positions = graph.node("Slice", [table, graph.numbers(0), length, graph.numbers(0)], "embeddings.of_positions")
    rows = graph.node("Add", [rows, positions], "embeddings.sum")
    rows = write_norm(graph, embeddings.norm, rows, "embeddings")
    return rows if embeddings.project is None else write_linear(graph, embeddings.project, rows, "embeddings.projected")


def position_table(embeddings: Embeddings) -> Array:
    """RETURNS (Array): The positions from the first piece's on, the type's embedding added, rounded up in number."""
    table = values_of(embeddings.positions.weight)[embeddings.first_position :]
    if embeddings.types is not None:
        table = table + values_of(embeddings.types.weight)[0]
    return np.pad(table, ((0, padded_length(len(table)) - len(table)), (0, 0)))


def write_bias(graph: GraphWriter, network: Transformer) -> str:
    """Write what is added to attention's scores. RETURNS (str): (windows, heads or 1, 1 or length, length)."""
    masked = [graph.constant("zero", np.zeros((), np.float32)), graph.constant("masked", np.array(MASKED, np.float32))]
    wide = graph.node("Unsqueeze", ["mask", graph.numbers(1, 2)], "mask.wide")
    bias = graph.node("Where", [wide, *masked], "mask.bias")
    if network.relative is None:
        return bias
    # For the longest window; a shorter one has the upper left corner of it.
    length = padded_length(network.shape.positions - network.shape.first_position)
    at = torch.arange(length)
    table = graph.constant("buckets", bucket(at[None, :] - at[:, None]).numpy())
    ends = graph.node("Concat", ["length", "length"], "lengths", axis=0)
    corner = graph.node("Slice", [table, graph.numbers(0, 0), ends, graph.numbers(0, 1)], "buckets.corner")
    by_bucket = graph.constant("relative", values_of(network.relative.weight).T)
    relative = graph.node("Gather", [by_bucket, corner], "relative.bias", axis=1)
    return graph.node("Add", [bias, relative], "bias")


def write_layer(graph: GraphWriter, layer: Layer, rows: str, bias: str, activation: str, name: str, last: bool) -> str:
    """Write a layer. RETURNS (str): "vectors" of the last one, else `name`: (windows, length, width)."""
    attention = layer.attention
    mix, norm = cast(nn.Linear, attention["mix"]), cast(nn.LayerNorm, attention["norm"])
    mixed = write_linear(graph, mix, write_attention(graph, layer, rows, bias, name), f"{name}.mix")
    rows = write_norm(graph, norm, graph.node("Add", [mixed, rows], f"{name}.attended"), f"{name}.between")
    hidden = write_linear(graph, layer.expand, rows, f"{name}.expand")
    hidden = write_activation(graph, activation, hidden, f"{name}.activation")
    hidden = write_linear(graph, layer.contract, hidden, f"{name}.contract")
    rows = graph.node("Add", [hidden, rows], f"{name}.sum")
    return write_norm(graph, layer.norm, rows, "vectors" if last else name)


def write_attention(graph: GraphWriter, layer: Layer, rows: str, bias: str, name: str) -> str:
    """Write attention. RETURNS (str): (windows, length, width)."""
    qkv, heads = cast(nn.Linear, layer.attention["qkv"]), layer.heads
    width = qkv.in_features
    # The scores' scale goes into the queries.
    scales = ((width // heads) ** -0.5, 1.0, 1.0)
    orders = ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3))
    parts = []
    for i, (part, scale, order) in enumerate(zip("qkv", scales, orders, strict=True)):
        own = slice(i * width, (i + 1) * width)
        weight, vector = (scale * values_of(each)[own] for each in (qkv.weight, qkv.bias))
        linear = graph.linear(rows, weight, vector, f"{name}.{part}")
        by_head = graph.node("Reshape", [linear, graph.numbers(0, 0, heads, width // heads)], f"{name}.{part}.heads")
        parts.append(graph.node("Transpose", [by_head], f"{name}.{part}.by_head", perm=order))
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


def write_linear(graph: GraphWriter, linear: nn.Linear, rows: str, output: str) -> str:
    """Write a linear layer. RETURNS (str): `output`."""
    return graph.linear(rows, values_of(linear.weight), values_of(linear.bias), output)


def write_norm(graph: GraphWriter, norm: nn.LayerNorm, rows: str, output: str) -> str:
    """Write a norm over the last axis. RETURNS (str): `output`."""
    own = [graph.constant(f"{output}.norm.{part}", values_of(getattr(norm, part))) for part in ("weight", "bias")]
    return graph.node("LayerNormalization", [rows, *own], output, axis=-1, epsilon=norm.eps)


def values_of(tensor: Tensor) -> Array:
    """RETURNS (Array): A tensor's values, fp32."""
    values: Array = tensor.detach().float().cpu().numpy()
    return values
