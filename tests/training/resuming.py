"""Runs that are broken off and compared: what the tests of resuming share."""

from pathlib import Path
from typing import Any

import pytest

from tests.training.training_runs import (
    Interrupted,
    interrupted_after,
    train,
)


def same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def break_off(folder: Path, events: int, **options: Any) -> list[str]:
    """Train until the n-th point. RETURNS: The points that the run came to."""
    with interrupted_after(events) as seen, pytest.raises(Interrupted):
        train(folder, **options)
    return seen
