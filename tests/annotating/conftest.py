"""Pipelines and pools for the tests of `annotate`."""

from pathlib import Path

import pytest

from tests.annotating.runs import InlinePool, make_cnn, make_ruler, use_inline_pools


@pytest.fixture(scope="session")
def ruler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs.make_ruler."""
    folder = tmp_path_factory.mktemp("ruler")
    make_ruler().to_disk(folder)
    return folder


@pytest.fixture(scope="session")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs.make_cnn."""
    folder = tmp_path_factory.mktemp("cnn")
    make_cnn().to_disk(folder)
    return folder


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[InlinePool]:
    """`annotate` without processes; the pools that it has made."""
    return use_inline_pools(monkeypatch)
