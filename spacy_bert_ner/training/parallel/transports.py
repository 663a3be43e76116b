"""How gradients and weights get from process to process: through shared memory, or by torch.distributed.

Processes on the CPUs of one machine share one array of weights, and read each other's gradients. That takes a fraction
of the time of sending them, and an update of the weights by one process is visible to all.
"""

import mmap
import os
import secrets
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from .group import Group
from .partition import Partition

# The header of the shared memory, by which a process recognises that it has opened the right one.
HEADER = 64
FLOAT = 4


class Transport(ABC):
    """Moves slices of flat arrays between processes.

    group (Group): The processes.
    partition (Partition): Their slices.
    weights (Tensor): The parameters, flat. (total,)
    gradients (Tensor): This process's gradients, flat; written before `sum_gradients`. (total,)
    """

    def __init__(self, group: Group, partition: Partition, weights: Tensor, gradients: Tensor) -> None:
        self.group = group
        self.partition = partition
        self.weights = weights
        self.gradients = gradients

    @abstractmethod
    def begin(self) -> None:
        """Give the other processes the weights that the first one has written."""

    @abstractmethod
    def sum_gradients(self) -> Tensor:
        """Sum the slice of this process over all, once all have written: reduce-scatter.

        RETURNS (Tensor): The sums, in `gradients`. (slice,)
        """

    @abstractmethod
    def spread_weights(self) -> None:
        """Give the other processes this one's updates of its slice of the weights: all-gather."""

    @abstractmethod
    def collect(self, own: Tensor) -> Tensor:
        """Gather the processes' slices of an array; the content of `gradients` is lost.

        own (Tensor): This process's. (slice,)
        RETURNS (Tensor): The whole array, in every process. (total,)
        """


class SharedMemory(Transport):
    """Shared memory on one machine.

    memory (mmap): A header, the weights, and the gradients of each process.
    """

    def __init__(self, group: Group, partition: Partition, memory: mmap.mmap) -> None:
        numbers = torch.frombuffer(memory, dtype=torch.float32, offset=HEADER)
        rows = numbers.view(group.size + 1, partition.total)
        super().__init__(group, partition, rows[0], rows[1 + group.rank])
        self._rows = rows[1:]

    def begin(self) -> None:
        self.group.wait()

    def sum_gradients(self) -> Tensor:
        start, end = self.partition.slice_of(self.group.rank)
        own = self.gradients[start:end]
        # In a fixed order, as sums of floats depend on it.
        for rank in chain(range(self.group.rank), range(self.group.rank + 1, self.group.size)):
            own += self._rows[rank, start:end]
        return own

    def spread_weights(self) -> None:
        self.group.wait()

    def collect(self, own: Tensor) -> Tensor:
        start, end = self.partition.slice_of(self.group.rank)
        self.group.wait()
        self.gradients[start:end] = own
        self.group.wait()
        slices = map(self.partition.slice_of, range(self.group.size))
        whole = torch.cat([self._rows[rank, start:end] for rank, (start, end) in enumerate(slices)])
        self.group.wait()
        return whole


class Collectives(Transport):
    """torch.distributed: gloo between machines, NCCL between GPUs.

    device (torch.device): Where the weights are.
    """

    def __init__(self, group: Group, partition: Partition, device: torch.device) -> None:
        weights, gradients = torch.zeros(2, partition.total, device=device)
        super().__init__(group, partition, weights, gradients)

    def begin(self) -> None:
        self.group.send_from(0, self.weights)

    def sum_gradients(self) -> Tensor:
        for rank in range(self.group.size):
            self.group.sum_at(rank, self._slice(self.gradients, rank))
        return self._slice(self.gradients, self.group.rank)

    def spread_weights(self) -> None:
        self._spread(self.weights)

    def collect(self, own: Tensor) -> Tensor:
        whole = torch.empty_like(self.weights)
        self._slice(whole, self.group.rank)[:] = own
        self._spread(whole)
        return whole

    def _spread(self, values: Tensor) -> None:
        for rank in range(self.group.size):
            self.group.send_from(rank, self._slice(values, rank))

    def _slice(self, values: Tensor, rank: int) -> Tensor:
        start, end = self.partition.slice_of(rank)
        return values[start:end]


def open_transport(group: Group, partition: Partition, device: torch.device) -> Transport:
    """Choose how the processes exchange numbers: by shared memory where all are on one machine's CPUs.

    group (Group): The processes, all of which must call this.
    partition (Partition): Their slices.
    device (torch.device): Where the weights are.
    RETURNS (Transport): One whose weights and gradients are zeros.
    """
    memory = None
    if device.type == "cpu":
        length = HEADER + FLOAT * partition.total * (group.size + 1)
        memory = _make_memory(group, length)
        if group.any(memory is None)[0]:
            memory = None
    return Collectives(group, partition, device) if memory is None else SharedMemory(group, partition, memory)


def _make_memory(group: Group, length: int) -> mmap.mmap | None:
    """Create memory in the first process and open it in the others.

    It is not in /dev/shm, which is small in containers; the others open it by the first process's descriptor, and it
    is freed with the last process.
    """
    token = secrets.token_bytes(HEADER)
    memory = None
    with ExitStack() as stack:
        path = Path()
        # Neither Windows nor macOS has this.
        if group.is_first and hasattr(os, "memfd_create"):
            made = stack.enter_context(os.fdopen(os.memfd_create("bert-ner"), "wb"))
            made.truncate(length)
            made.write(token)
            made.flush()
            path = Path("/proc", str(os.getpid()), "fd", str(made.fileno()))
        path, token = group.share((path, token))
        with suppress(OSError, ValueError), path.open("r+b") as file:
            memory = mmap.mmap(file.fileno(), length)
        # All have opened it, or have failed to.
        group.wait()
    # Another machine has another file there, or none.
    return memory if memory is not None and memory[:HEADER] == token else None
