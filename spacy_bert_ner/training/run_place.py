"""Where and how a run takes place, for what is prepared before its first step."""

from pathlib import Path
from typing import NamedTuple

from .parallel.group import Group


class RunPlace(NamedTuple):
    """A run's surroundings.

    output (Path): Its folder.
    code (Path | None): Python file that was imported before it.
    use_gpu (int): GPU, or -1 for the CPU.
    group (Group): The processes that train together.
    fresh (bool): Whether it starts over.
    """

    output: Path
    code: Path | None
    use_gpu: int
    group: Group
    fresh: bool
