"""The processes that train together, and their communication, by torch.distributed."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from spacy_bert_ner.training.training_error import RunError

T = TypeVar("T")

# Long enough for what one process does while the others wait, such as saving. A process's death is noticed at once.
TIMEOUT = timedelta(minutes=30)


class LostError(RunError):
    """Another process has ended, so this one cannot continue."""


class Group:
    """The processes that train together; by itself, this process alone.

    rank (int): This process's number, 0 for the first.
    size (int): How many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def is_first(self) -> bool:
        """RETURNS (bool): Whether this process is the one that writes."""
        return self.rank == 0

    def add(self, values: Iterable[float]) -> list[float]:
        """Sum numbers over the processes, an all-reduce: none continues before all have called it.

        values (Iterable[float]): This process's numbers.
        RETURNS (list[float]): The sums, the same in every process.
        """
        numbers = list(map(float, values))
        if self.size == 1:
            return numbers
        summed = torch.tensor(numbers, dtype=torch.float64)
        with losing():
            dist.all_reduce(summed)
        return summed.tolist()

    def any(self, *flags: bool) -> list[bool]:
        """RETURNS (list[bool]): Of each flag, whether it is set in any process."""
        return [value > 0 for value in self.add(flags)]

    def wait(self) -> None:
        """Wait until all processes have called this: a barrier."""
        self.add([0.0])

    def share(self, value: T) -> T:
        """RETURNS (T): The first process's value, in every process."""
        if self.size == 1:
            return value
        values = [value]
        with losing():
            dist.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    def gather(self, value: T) -> list[T]:
        """RETURNS (list[T]): All processes' values in the first process, none in the others."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.is_first else None
        with losing():
            dist.gather_object(value, values)
        return values or []

    def require_same(self, number: int, what: str) -> None:
        """RAISES: RunError, in every process, where a number is not the same in all. what (str): What differs then."""
        if self.any(self.add([number])[0] != number * self.size)[0]:
            raise RunError(f"{what} in each of the {self.size} processes, as training needs it")

    def sum_at(self, rank: int, values: Tensor) -> None:
        """Sum tensors over the processes, in place, in one process only: in the others the values are lost."""
        with losing():
            dist.reduce(values, dst=rank)

    def send_from(self, rank: int, values: Tensor) -> None:
        """Replace the values of all processes by one process's: a broadcast."""
        with losing():
            dist.broadcast(values, src=rank)


@contextmanager
def losing() -> Iterator[None]:
    """RAISES: LostError where torch.distributed reports that a process has ended."""
    try:
        yield
    # The errors of gloo and NCCL have no other class in common.
    except RuntimeError as error:
        raise LostError(f"Another process has ended ({str(error).splitlines()[0]})") from error


@contextmanager
def joined(group: Group, backend: str, **how: Any) -> Iterator[Group]:
    """Join the group in which this process has a number.

    group (Group): This process's number and how many there are.
    backend (str): torch.distributed's.
    how (Any): Where they meet: see torch.distributed.init_process_group.
    YIELDS (Group): The same.
    """
    with losing():
        dist.init_process_group(backend, rank=group.rank, world_size=group.size, timeout=TIMEOUT, **how)
    try:
        yield group
    finally:
        dist.destroy_process_group()
