"""The benchmark of training by several processes on an encoder of no size: its figures."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.test_benchmark import load_script
from tests.training.training_runs import write_corpus


@pytest.mark.slow
def test_each_mode_gives_its_figures(tiny_bert: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    parallel = load_script("benchmarks/parallel.py")
    short = ["--batches", "20", "--words", "60", "--rounds", "1"]
    parallel.main([str(tmp_path / "train.spacy"), str(tiny_bert), str(tmp_path / "figures.json"), *short])
    found = json.loads((tmp_path / "figures.json").read_text(encoding="utf8"))["batches"]["20"]
    assert list(found) == list(parallel.MODES)
    for mode, figures in found.items():
        assert figures["words_per_second"] > 0
        assert sum(figures["shares"].values()) == pytest.approx(1)
        assert {"learn", "move"} <= figures["shares"].keys()
        assert ("exchange" in figures["shares"]) == (mode in ("together", "by sockets"))
