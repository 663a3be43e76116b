"""The benchmark of int8 measures what it says, in turns."""

import json
import sys
from pathlib import Path

import pytest
import spacy

from tests.benchmarks.test_benchmark import load_script
from tests.commands.tiny import invoke, save_corpus, save_model


def test_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    model, corpus, output = save_model(tmp_path), save_corpus(tmp_path / "dev.spacy"), tmp_path / "figures.json"
    assert invoke("quantize", model, corpus, tmp_path / "int8").exit_code == 0
    script = load_script("benchmarks/quantization.py")
    options = ["--repeats", "2", "--documents", "2"]
    monkeypatch.setattr(sys, "argv", ["", *map(str, (model, tmp_path / "int8", corpus, output)), *options])
    script.main()
    figures = json.loads(output.read_text(encoding="utf8"))
    assert {name: len(runs) for name, runs in figures["runs"].items()} == {"int8": 2, "bf16": 2, "fp32": 2}
    speeds = figures["words_per_second"]
    assert figures["int8_to"] == {
        name: pytest.approx(speeds["int8"] / speeds[name], rel=0.01) for name in ("bf16", "fp32")
    }
    assert figures["words"] == sum(len(doc) for doc in list(read(corpus))[:2])
    assert "int8 to it" in capsys.readouterr().out


def read(path: Path) -> list[spacy.tokens.Doc]:
    return list(spacy.tokens.DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def test_systems_take_turns() -> None:
    script = load_script("benchmarks/quantization.py")
    calls: list[str] = []
    systems = {name: lambda name=name: lambda: calls.append(name) for name in "ab"}
    speeds = script.take_turns(systems, 10, 3)
    assert "".join(calls) == "ab" * 4
    assert {name: len(own) for name, own in speeds.items()} == {"a": 3, "b": 3}
