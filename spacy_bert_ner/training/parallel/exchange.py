"""The exchange of a step: each process gets the sum of the gradients of its slice, and gives its updated weights."""

import math
import zlib
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from spacy_bert_ner.training.parameters import Parameters, Tensors
from spacy_bert_ner.training.training_error import RunError

from .group import Group
from .partition import Partition
from .transports import open_transport


class Exchange:
    """The weights that the processes share, and the exchange of their gradients.

    Every process calls each method as often as the others do. A piece is the part of a parameter that one process
    updates: flat, and empty where it updates none of it.

    group (Group): The processes; all start with the first one's weights.
    parameters (Parameters): The trained models; their weights are moved into the shared memory.
    RAISES: RunError where the processes have different parameters, or some that are not of fp32.
    """

    def __init__(self, group: Group, parameters: Parameters) -> None:
        trained = parameters.trained()
        odd = [f"{name} ({tensor.dtype})" for name, tensor in trained.items() if tensor.dtype != torch.float32]
        if odd:
            raise RunError(f"Several processes train weights of torch.float32 alone, found {', '.join(odd)}")
        shapes = {name: tuple(tensor.shape) for name, tensor in trained.items()}
        described = zlib.crc32(repr(shapes).encode())
        group.require_same(described, "The pipeline does not have the same parameters")
        self.group = group
        self.partition = Partition(shapes, group.size)
        self.device = next((tensor.device for tensor in trained.values()), torch.device("cpu"))
        self._transport = open_transport(group, self.partition, self.device)
        places = {name: self._shaped(self._transport.weights, name) for name in shapes}
        if group.is_first:
            for name, tensor in trained.items():
                places[name].copy_(tensor)
        self._transport.begin()
        parameters.move_to(places)

    def sum(self, gradients: Mapping[str, Tensor], marked: Collection[str]) -> tuple[Tensors, set[str]]:
        """Sum gradients over the processes.

        gradients (Mapping[str, Tensor]): This process's, by name; one that it does not have counts as zeros.
        marked (Collection[str]): Names that this process marks.
        RETURNS (tuple[Tensors, set[str]]): This process's piece of each gradient that any process has, and the names
            that any process has marked.
        """
        names = list(self.partition.shapes)
        flat = self._transport.gradients
        for name, (start, end) in self.partition.spans.items():
            if name in gradients:
                self._shaped(flat, name).copy_(gradients[name])
            else:
                flat[start:end] = 0.0
        flags = self.group.any(*(name in gradients for name in names), *(name in marked for name in names))
        summed = self._transport.sum_gradients()
        there = [name for name, flag in zip(names, flags, strict=False) if flag]
        return (
            {name: self._piece(summed, name) for name in there},
            {name for name, flag in zip(names, flags[len(names) :], strict=True) if flag},
        )

    def norms(self, pieces: Mapping[str, Tensor]) -> list[float]:
        """RETURNS (list[float]): The norm of each whole of which this process has a piece, in order."""
        own = torch.stack(torch._foreach_norm(list(pieces.values()))).double() if pieces else torch.empty(0)
        return [math.sqrt(square) for square in self.group.add((own**2).tolist())]

    def weights(self, name: str) -> Tensor:
        """RETURNS (Tensor): This process's piece of a parameter, in the shared memory."""
        start, end = self.partition.piece_of(name, self.group.rank)
        return self._transport.weights[start:end]

    def piece(self, name: str, whole: Tensor) -> Tensor:
        """RETURNS (Tensor): This process's piece of something of a parameter's shape."""
        first = self.partition.spans[name][0]
        start, end = self.partition.piece_of(name, self.group.rank)
        return whole.flatten()[start - first : end - first]

    def spread(self) -> None:
        """Give the other processes this one's updates of its pieces."""
        self._transport.spread_weights()

    def whole(self, pieces: Mapping[str, Tensor]) -> Tensors:
        """Gather pieces.

        pieces (Mapping[str, Tensor]): This process's, of the same parameters in all processes.
        RETURNS (Tensors): The whole tensors, in the parameters' shapes.
        """
        start, end = self.partition.slice_of(self.group.rank)
        own = self._transport.weights.new_zeros(end - start)
        for name, piece in pieces.items():
            self._piece(own, name).copy_(piece)
        flat = self._transport.collect(own)
        return {name: self._shaped(flat, name) for name in pieces}

    def _piece(self, own: Tensor, name: str) -> Tensor:
        """RETURNS: A parameter's piece in this process's slice."""
        first, _ = self.partition.slice_of(self.group.rank)
        start, end = self.partition.piece_of(name, self.group.rank)
        return own[start - first : end - first] if end > start else own[:0]

    def _shaped(self, flat: Tensor, name: str) -> Tensor:
        """RETURNS: A parameter in a flat array, in its own shape."""
        start, end = self.partition.spans[name]
        return flat[start:end].view(self.partition.shapes[name])
