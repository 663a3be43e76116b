"""Graphs as ONNX Runtime runs them, and by how many threads."""

import multiprocessing
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from spacy_bert_ner.arrays import Array
from spacy_bert_ner.processors import usable_cores

from .graph_files import Graph

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NO_RUNTIME = 'An exported pipeline is run by ONNX Runtime, which is not installed: pip install "spacy-bert-ner[onnx]"'
# ONNX Runtime says something of every graph; its errors are enough.
ERRORS_ALONE = 3


class GraphSession:
    """One graph, ready to run; several threads may run it at once.

    graph (Graph): The graph.
    threads (int): Threads by which a run computes.
    wide (bool): Whether products of int8 are summed in 32 bits by all means: see exact_products.py.
    RAISES: ImportError where ONNX Runtime is not installed; ValueError where it cannot read the graph.

    `inputs` (list[str]) are their names.
    """

    def __init__(self, graph: Graph, threads: int, *, wide: bool = False) -> None:
        self._session = open_session(graph, threads, wide)
        self.inputs = [each.name for each in self._session.get_inputs()]

    def run(self, inputs: Mapping[str, Array]) -> Array:
        """Compute the graph's one output.

        inputs (Mapping[str, Array]): By name; those that the graph does not have are left out.
        RETURNS (Array): fp32.
        """
        (output,) = self._session.run(None, {name: inputs[name] for name in self.inputs})
        return np.asarray(output)

    @property
    def width(self) -> int:
        """RETURNS (int): The size of the output's last axis."""
        return int(self._session.get_outputs()[0].shape[-1])


def open_session(graph: Graph, threads: int, wide: bool) -> "InferenceSession":
    """Make ONNX Runtime read a graph. RAISES: As GraphSession."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(NO_RUNTIME, name="onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = ERRORS_ALONE
    # Batches come in many shapes: what is planned for one of them is of no use for another.
    options.enable_mem_pattern = False
    if wide:
        options.add_session_config_entry("session.x64quantprecision", "1")
    if graph.weights:
        sizes = [len(content) for content in graph.weights.values()]
        options.add_external_initializers_from_files_in_memory(list(graph.weights), list(graph.weights.values()), sizes)
    try:
        return onnxruntime.InferenceSession(graph.source, options, providers=["CPUExecutionProvider"])
    # ONNX Runtime's errors are classes of its own, all of them RuntimeErrors.
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"ONNX Runtime {onnxruntime.__version__} cannot read the graph ({error}). Update it, or export again"
        ) from error


def choose_threads() -> int:
    """RETURNS (int): Threads of a session: one in a worker process, else OMP_NUM_THREADS or the usable cores."""
    if multiprocessing.current_process().name != "MainProcess":
        return 1
    named: Any = os.environ.get("OMP_NUM_THREADS", "")
    return int(named) if named.isdecimal() and int(named) else usable_cores()
