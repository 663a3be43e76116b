"""`python -m spacy bert-ner evaluate`, and the script that does the same."""

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from evaluating import EVERY_VERDICT, make_case
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.commands.evaluate import find_curve

SCRIPT = Path(__file__).parents[1] / "scripts" / "evaluate.py"
# `told`, the pipelines' component, is known to this process and to those that are given its file.
CODE = Path(__file__).parent / "evaluating.py"


@pytest.fixture
def case(tmp_path: Path) -> tuple[str, str]:
    """Save a pipeline and its corpus. RETURNS: Their paths."""
    nlp, gold = make_case(tmp_path, EVERY_VERDICT)
    nlp.to_disk(tmp_path / "model")
    return str(tmp_path / "model"), str(gold)


def run(*args: str) -> str:
    """Run a command that must succeed. RETURNS: What it printed."""
    result = CliRunner().invoke(bert_ner_cli, ["evaluate", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_evaluate_writes_measures_and_report(tmp_path: Path, case: tuple[str, str]) -> None:
    output, report = tmp_path / "new" / "test.json", tmp_path / "new" / "report.html"
    run(*case, str(output), "--report", str(report), "--train", case[1], "--compare", case[0], "--resamples", "100")
    metrics = json.loads(output.read_text(encoding="utf8"))
    # What packaging.describe reads.
    assert {"precision", "recall", "f1", "counts", "types", "corpus", "speed", "model"} <= set(metrics)
    assert metrics["f1"] == pytest.approx(6 / 15)
    assert metrics["comparison"]["rows"]["all"]["f1"]["difference"] == 0
    assert report.read_text(encoding="utf8").startswith("<!doctype html>")
    assert sorted(path.name for path in output.parent.iterdir()) == ["report.html", "test.json"]


def test_evaluate_without_files_prints_a_table(case: tuple[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    printed = run(*case, "--no-raw-text") + capfd.readouterr().out
    row = next(line.split() for line in printed.splitlines() if line.startswith("all"))
    assert row == ["all", "42.86", "37.50", "40.00", "25.00", "-", "57.14", "8", "7", "3"]
    assert "raw text" not in printed


def test_a_curve_beside_the_model_is_found(tmp_path: Path, case: tuple[str, str]) -> None:
    assert find_curve(Path(case[0])) == []
    (tmp_path / "curve.jsonl").write_text('{"step": 1, "score": 0.5}\n', encoding="utf8")
    assert len(find_curve(Path(case[0]))) == 1
    assert find_curve(Path("en_no_such_package")) == []


def test_a_missing_corpus_is_named(case: tuple[str, str]) -> None:
    result = CliRunner().invoke(bert_ner_cli, ["evaluate", case[0], "nowhere.spacy"])
    assert result.exit_code == 2
    assert "nowhere.spacy" in result.output


@pytest.mark.slow
def test_the_script_does_the_same(tmp_path: Path, case: tuple[str, str]) -> None:
    output = tmp_path / "test.json"
    command = [sys.executable, str(SCRIPT), *case, str(output), "--code", str(CODE), "--resamples", "100"]
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads(output.read_text(encoding="utf8"))["f1"] == pytest.approx(6 / 15)


@pytest.mark.slow
def test_spacy_finds_the_command() -> None:
    assert entry_points(group="spacy_cli")["bert_ner"].load() is bert_ner_cli
    command = [sys.executable, "-m", "spacy", "bert-ner", "evaluate", "--help"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "--compare" in printed


def test_importing_the_command_costs_next_to_nothing() -> None:
    code = (
        "import sys, spacy.cli; a = set(sys.modules); import spacy_bert_ner.cli; print(*sorted(set(sys.modules) - a))"
    )
    added = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {name.partition(".")[0] for name in added} & {"matplotlib", "torch", "transformers", "seqeval", "jinja2"}
    assert [name for name in added if not name.startswith("spacy_bert_ner")] == []
    assert not [name for name in added if name.startswith("spacy_bert_ner.serving")]
