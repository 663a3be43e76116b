"""Documents shared out so that no process waits for another."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from operator import itemgetter


def share_out(costs: Sequence[int], processes: int) -> list[list[int]]:
    """Divide items among processes so that the costs of their parts differ as little as can be found quickly.

    costs (Sequence[int]): What each item costs.
    processes (int): How many parts.
    RETURNS (list[list[int]]): Of each process, the indices of its items, in order; a part may be empty.
    Source: Karmarkar & Karp 1982, the largest differencing method.
    """
    # Each entry is a division of some of the items, its parts by falling cost; the most uneven one comes first.
    order = count()
    heap = [
        (-cost, next(order), [(cost, [i]), *((0, []) for _ in range(processes - 1))]) for i, cost in enumerate(costs)
    ]
    heapify(heap)
    while len(heap) > 1:
        (_, _, one), (_, _, other) = heappop(heap), heappop(heap)
        # The costliest part of one meets the cheapest of the other.
        merged = [(a + b, _join(x, y)) for (a, x), (b, y) in zip(one, reversed(other), strict=True)]
        merged.sort(key=itemgetter(0), reverse=True)
        heappush(heap, (merged[-1][0] - merged[0][0], next(order), merged))
    return [sorted(items) for _, items in heap[0][2]] if heap else [[] for _ in range(processes)]


def _join(one: list[int], other: list[int]) -> list[int]:
    """Join two lists in place, into the longer one: many items are joined often."""
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    longer.extend(shorter)
    return longer
