"""Graphs of ONNX, written node by node."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from spacy_bert_ner.arrays import Array

try:
    import onnx
    from onnx import helper, numpy_helper
except ImportError as error:
    raise ImportError(
        'Exporting writes graphs by onnx, which is not installed: pip install "spacy-bert-ner[export]"', name="onnx"
    ) from error

# Operators of ONNX 1.15: the first with Gelu. ONNX Runtime knows them since 1.17.
OPSET, IR_VERSION = 20, 9
# Constants of so many bytes go beside the graph, from where they are read without a copy, and each of them begins at a
# page of memory. Within it there is no room for more than 2 GiB.
LARGE, ALIGNMENT = 1 << 16, 1 << 12
ONNX_TYPES = {"int64": onnx.TensorProto.INT64, "bool": onnx.TensorProto.BOOL, "float32": onnx.TensorProto.FLOAT}


class GraphWriter:
    """Collects the nodes and constants of a graph.

    name (str): The graph's.
    location (str | None): The name of a file beside it for its large constants; None where they go into the graph.

    `weights` (bytearray) is what that file is to hold.
    """

    def __init__(self, name: str, location: str | None = None) -> None:
        self.name, self._location = name, location
        self.weights = bytearray()
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._written: dict[str, str] = {}

    def add_input(self, name: str, dtype: str, shape: Sequence[str | int]) -> str:
        """Add an input. RETURNS (str): Its name."""
        self._inputs.append(helper.make_tensor_value_info(name, ONNX_TYPES[dtype], shape))
        return name

    def constant(self, name: str, values: Array) -> str:
        """Add a constant; of several of the same name there is the first. RETURNS (str): Its name."""
        if name not in self._constants:
            large = self._location is not None and values.nbytes >= LARGE
            make = self._put_aside if large else numpy_helper.from_array
            self._constants[name] = make(np.ascontiguousarray(values), name)
        return name

    def _put_aside(self, values: Array, name: str) -> onnx.TensorProto:
        """Write a constant to the file beside the graph. RETURNS (TensorProto): Where it is."""
        self.weights += bytes(-len(self.weights) % ALIGNMENT)
        place = {"location": self._location, "offset": len(self.weights), "length": values.nbytes}
        self.weights += values.tobytes()
        tensor = onnx.TensorProto(
            name=name,
            dims=values.shape,
            data_type=helper.np_dtype_to_tensor_dtype(values.dtype),
            data_location=onnx.TensorProto.EXTERNAL,
        )
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        return tensor

    def numbers(self, *values: int) -> str:
        """Add whole numbers: shapes, axes. RETURNS (str): Their name."""
        return self.constant(f"numbers.{'.'.join(map(str, values))}", np.array(values, dtype=np.int64))

    def node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node.

        operator (str): ONNX's name of what it computes.
        inputs (Sequence[str]): Names.
        output (str): Name of its output.
        attributes (Any): The operator's.
        RETURNS (str): The output.
        """
        self._nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def once(self, name: str, write: Callable[[str], str]) -> str:
        """Write something that several nodes read, the first time that it is asked for.

        name (str): What it is called.
        write (Callable[[str], str]): Writes it, given the name.
        RETURNS (str): What it gave.
        """
        if name not in self._written:
            self._written[name] = write(name)
        return self._written[name]

    @staticmethod
    def type_of(dtype: str) -> int:
        """RETURNS (int): ONNX's number for a dtype."""
        return int(ONNX_TYPES[dtype])

    def linear(self, rows: str, weight: Array, bias: Array, output: str) -> str:
        """Multiply rows by a weight as torch's Linear has it, (outputs, inputs), and add its bias. RETURNS: Output."""
        # Transposed here, as ONNX Runtime lays constants out for its kernel when it reads the graph.
        product = self.node("MatMul", [rows, self.constant(f"{output}.weight", weight.T)], f"{output}.product")
        return self.node("Add", [product, self.constant(f"{output}.bias", bias)], output)

    def to_bytes(self, output: str, shape: Sequence[str | int]) -> bytes:
        """Write the graph.

        output (str): The name of its output, fp32.
        shape (Sequence[str | int]): The output's.
        RETURNS (bytes): An .onnx file.
        """
        described = helper.make_tensor_value_info(output, ONNX_TYPES["float32"], shape)
        graph = helper.make_graph(self._nodes, self.name, self._inputs, [described], list(self._constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="spacy-bert-ner")
        model.ir_version = IR_VERSION
        return bytes(model.SerializeToString())
