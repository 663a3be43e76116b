"""Runs of `spacy train` that others are compared with: each is made once in a process."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from spacy.cli.train import train as spacy_train

from tests.training.training_runs import CONFIGS, OUTPUT, contents, write_corpus


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Callable[[str], tuple[Path, dict[str, bytes]]]:
    """Give a function: name in CONFIGS to a folder with config and corpora, and what `spacy train` leaves of them."""
    done: dict[str, tuple[Path, dict[str, bytes]]] = {}

    def make(name: str) -> tuple[Path, dict[str, bytes]]:
        if name not in done:
            folder = tmp_path_factory.mktemp("run")
            write_corpus(folder)
            CONFIGS[name](tiny_bert).to_disk(folder / "config.cfg")
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                spacy_train(Path("config.cfg"), OUTPUT)
                # Our curve is what spaCy's logger would have written.
                done[name] = (folder, contents() | {"curve.jsonl": (OUTPUT / "log.jsonl").read_bytes()})
            shutil.rmtree(folder / OUTPUT)
        return done[name]

    return make


@pytest.fixture
def ours(made: Callable, tmp_path: Path) -> tuple[Path, dict[str, bytes]]:
    """A folder of the test's own with config and corpora, and what training leaves of them."""
    folder, expected = made("ours")
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return tmp_path, expected
