"""The divisor of losses: the rows of the whole batch, of which each process knows only those of its part."""

from .group import Group


class Divisor:
    """Sums one component's rows over the processes, once in each part of a batch.

    group (Group): The processes.
    """

    def __init__(self, group: Group) -> None:
        self._group = group
        self._asked = False

    def __call__(self, rows: int) -> int:
        """RETURNS (int): The rows in all processes. rows (int): Those in this one."""
        self._asked = True
        return int(self._group.add([rows])[0])

    def settle(self) -> None:
        """Take part in the sum where the component had no documents and did not ask, as other processes wait for it."""
        if not self._asked:
            self(0)
        self._asked = False
