"""Fixtures of the tests of data."""

from pathlib import Path

import pytest


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder that assets are fetched into."""
    return tmp_path / "assets" / "one"
