"""head.onnx: the document memory and the linear layer that scores words for tags."""

from spacy_bert_ner.arrays import Array
from spacy_bert_ner.encoder.choices import Pieces

from .graph_writer import GraphWriter
from .linear_graph import State, write_linear


def write_head(state: State, pieces: Pieces, weight: Array, bias: Array) -> bytes:
    """Write a head as a graph.

    state (State): The encoder's weights; with a memory where there is memory.add.weight.
    pieces (str): Which pieces of a word carry its label.
    weight, bias (Array): The output layer's. (tags, width), (tags,)
    RETURNS (bytes): head.onnx: from `vectors` and, with a memory, `others`, (words, width), and `recurs`, (words, 1),
        all fp32, to `logits`, (words, tags) fp32; `firsts`, (words, width), is wanted as well where a word's first
        piece is not what carries its label.
    """
    graph, width = GraphWriter("head"), weight.shape[1]
    rows = graph.add_input("vectors", "float32", ("words", width))
    if "memory.add.weight" in state:
        firsts = graph.add_input("firsts", "float32", ("words", width)) if pieces == "mean" else rows
        others = graph.add_input("others", "float32", ("words", width))
        recurs = graph.add_input("recurs", "float32", ("words", 1))
        both = graph.node("Concat", [firsts, others], "memory.both", axis=1)
        compared = graph.node(
            "Gelu", [write_linear(graph, state, "memory.compare", both, "memory.compare")], "memory.compared"
        )
        added = write_linear(graph, state, "memory.add", compared, "memory.add")
        added = graph.node("Mul", [added, recurs], "memory.added")
        rows = graph.node("Add", [rows, added], "remembered")
    graph.linear(rows, weight, bias, "logits")
    return graph.to_bytes("logits", ("words", len(weight)))
