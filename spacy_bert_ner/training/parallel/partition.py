"""All parameters as one flat array, cut into a slice for each process.

parameters  |--- word embeddings ---|- query -|- key -|-·
slices      |-- process 0 --|-- process 1 --|-- ·
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

# Numbers in a cache line: no two processes write to the same one.
LINE = 16


@dataclass(frozen=True)
class Partition:
    """Where each parameter is in the flat array, and which process updates which part.

    shapes (Mapping[str, tuple[int, ...]]): The parameters' shapes, by name, in order.
    processes (int): How many there are.
    """

    shapes: Mapping[str, tuple[int, ...]]
    processes: int

    @cached_property
    def spans(self) -> dict[str, tuple[int, int]]:
        """RETURNS (dict[str, tuple[int, int]]): Where each parameter begins and ends."""
        spans, start = {}, 0
        for name, shape in self.shapes.items():
            spans[name] = start, start + prod(shape)
            start = _round_up(start + prod(shape))
        return spans

    @cached_property
    def total(self) -> int:
        """RETURNS (int): Numbers in the flat array, those between parameters counted."""
        return _round_up(max((end for _, end in self.spans.values()), default=0))

    def slice_of(self, rank: int) -> tuple[int, int]:
        """RETURNS (tuple[int, int]): Where a process's slice begins and ends."""
        lines = self.total // LINE
        return lines * rank // self.processes * LINE, lines * (rank + 1) // self.processes * LINE

    def piece_of(self, name: str, rank: int) -> tuple[int, int]:
        """RETURNS (tuple[int, int]): Where the piece of a parameter that a process moves begins and ends; the same
        number twice where it has none.
        """
        (start, end), (low, high) = self.spans[name], self.slice_of(rank)
        begin = min(max(start, low), end)
        return begin, max(begin, min(end, high))


def _round_up(count: int) -> int:
    return -(-count // LINE) * LINE
