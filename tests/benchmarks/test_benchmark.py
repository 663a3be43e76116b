"""The benchmark's systems, each run as it is measured, on an encoder of no size."""

import argparse
import importlib.util
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc, DocBin

ROOT = Path(__file__).parents[2]


def load_script(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    vocab = spacy.blank("en").vocab
    words = ["Jane", "Smith", "lives", "in", "Paris", "."] * 4
    doc = Doc(
        vocab, words, sent_starts=[i % 6 == 0 for i in range(24)], ents=["B-PER", "I-PER", "", "", "B-LOC", ""] * 4
    )
    for split in ("train", "test"):
        DocBin(docs=[doc] * 12).to_disk(folder / f"{split}.spacy")
    return folder


@pytest.mark.parametrize(
    ("system", "task", "known"),
    [
        ("matrix", "predict", {"gflops"}),
        pytest.param("stock_ner", "predict", {"words_per_second", "runs", "batch", "dtype"}, marks=pytest.mark.bridge),
        pytest.param(
            "stock_bert_ner", "train", {"words_per_second", "runs", "batch", "dtype"}, marks=pytest.mark.bridge
        ),
        ("ours", "train", {"words_per_second", "runs", "batch", "dtype"}),
        ("ours", "latency", {"p50_ms", "p95_ms"}),
        ("forward", "predict", {"words_per_second", "runs", "batch", "dtype", "matrix_operations_per_word"}),
        ("trainer", "train", {"words_per_second", "runs", "batch", "dtype"}),
        ("notebook", "train", {"words_per_second", "runs", "batch", "dtype"}),
    ],
)
def test_each_system_gives_its_figures(
    system: str,
    task: str,
    known: set[str],
    corpus: Path,
    tiny_encoder: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    systems = load_script("benchmarks/systems.py")
    monkeypatch.setattr(systems, "MATRIX_SECONDS", 0.05)
    args = argparse.Namespace(
        system=system, task=task, encoder=str(tiny_encoder("bert")), corpus=corpus, documents=3, steps=2
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figures = systems.measure(args)
    assert set(figures) == known
    assert figures.get("words_per_second", 1) > 0


def test_a_system_is_measured_in_its_own_process(corpus: Path, tiny_encoder: Callable[..., Path]) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "systems.py"), "ours", "predict", str(tiny_encoder("bert"))]
    done = subprocess.run([*command, str(corpus), "--threads", "1"], capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["threads"] == 1
    assert figures["peak_mib"] > 100


def test_the_matrix_operations_are_those_of_the_encoders_layers(
    corpus: Path, tiny_encoder: Callable[..., Path]
) -> None:
    systems = load_script("benchmarks/systems.py")
    figures = systems.forward_only(str(tiny_encoder("bert")), [["the", "a"]])
    # Two layers of width 32: four matrices of 32 x 32 and two of 32 x 64; the pooler is not used but small.
    layers = 2 * (4 * 32 * 32 + 2 * 32 * 64)
    assert figures["matrix_operations_per_word"] in (2 * layers, 2 * (layers + 32 * 32))


def test_ratios_are_against_ours() -> None:
    rows = {"ours": 600.0, "stock_ner": 100.0, "forward": 1200.0}
    figures: dict[str, Any] = {
        "machine": {"float32": 1.0, "bfloat16": 0.5},
        "predict": {name: {"words_per_second": speed} for name, speed in rows.items()},
        "train": {"ours": {"words_per_second": 300.0}},
    }
    figures["predict"]["forward"]["matrix_operations_per_word"] = 5e5
    load_script("scripts/benchmark.py").add_ratios(figures)
    assert [row["ours_is_times_faster"] for row in figures["predict"].values()] == [1.0, 6.0, 0.5]
    assert [row["share_of_matrix_rate"] for row in figures["predict"].values()] == [0.3, 0.05, 0.6]
    assert figures["train"]["ours"]["share_of_matrix_rate"] == 0.45


def test_every_system_can_be_chosen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    runs = load_script("scripts/benchmark.py").RUNS
    monkeypatch.setattr(sys, "argv", ["systems.py", "--help"])
    with pytest.raises(SystemExit):
        load_script("benchmarks/systems.py").main()
    shown = capsys.readouterr().out
    assert [system for system in {*runs["predict"], *runs["train"]} if system not in shown] == []
