"""`python -m spacy bert-ner annotate`, and `spacy_bert_ner.annotate`."""

import dataclasses
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import spacy_bert_ner
from spacy_bert_ner.annotating import annotate
from spacy_bert_ner.annotating.journal import FinishedShard
from spacy_bert_ner.annotating.output_options import OutputOptions
from spacy_bert_ner.annotating.progress import ProgressLine, duration
from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.commands.annotate import annotate_cli
from tests.annotating.runs import TEXTS, InlinePool, numbered, read_lines, write_jsonl


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_jsonl(Path("one.jsonl"), numbered(TEXTS))
    write_jsonl(Path("two.jsonl"), numbered(["IBM", "RAISES Paris"]))


def test_defaults_are_those_from_python() -> None:
    command = inspect.signature(annotate_cli).parameters
    options = {field.name: field.default for field in dataclasses.fields(OutputOptions)}
    same = sorted(set(options) & set(command) - {"format"})
    assert {"batch_words", "max_characters", "min_confidence", "shard_size"} < set(same)
    assert {name: command[name].default for name in same} == {name: options[name] for name in same}


def call(*arguments: object) -> tuple[int, str]:
    """RETURNS: The command's exit code, and what it printed."""
    result = CliRunner().invoke(bert_ner_cli, ["annotate", *map(str, arguments)], catch_exceptions=False)
    return result.exit_code, result.output


def test_several_inputs_and_a_summary(
    ruler: Path, texts: None, pools: list[InlinePool], capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["--labels", "ORG, LOC", "--fields", "text", "--min-confidence", "0.5", "--workers", "auto"]
    code, printed = call(ruler, "one.jsonl", "two.jsonl", "out/all.jsonl", *options)
    printed += capfd.readouterr().out
    assert code == 0, printed
    rows = [line.split() for line in printed.splitlines()]
    assert ["documents", "7"] in rows
    assert ["entities,", "ORG", "4"] in rows
    assert "6 entities have no confidence and were kept" in printed
    assert "1 texts failed: see out/all.jsonl.parts/failed.jsonl" in " ".join(printed.split())
    assert [list(document) for document in read_lines(Path("out/all.jsonl"))] == [["id", "text", "entities"]] * 7


def test_an_error_is_said_and_the_exit_code_tells(
    ruler: Path, texts: None, pools: list[InlinePool], capfd: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        ([ruler, "none.jsonl", "out"], "none.jsonl: no such file or folder"),
        ([ruler, "one.jsonl", "out", "--workers", "many"], "--workers many: expected a number above 0, or auto"),
        ([ruler, "one.jsonl", "out", "--engine", "spark"], "--engine spark: expected one of local, ray"),
    ):
        code, printed = call(*arguments)
        assert code == 1
        assert message in " ".join((printed + capfd.readouterr().out).split())
    assert call(ruler, "one.jsonl")[0] == 2


def test_the_package_offers_the_function() -> None:
    assert spacy_bert_ner.annotate is annotate
    with pytest.raises(AttributeError, match="no attribute 'unheard_of'"):
        _ = spacy_bert_ner.unheard_of


def test_a_worker_imports_no_more_than_its_pipeline_needs(ruler: Path, texts: None) -> None:
    probe = (
        "import json, sys; from spacy_bert_ner.annotating.worker import AnnotationWorker, WorkerSettings;"
        "from spacy_bert_ner.annotating.output_options import OutputOptions; import spacy;"
        "from tests.annotating import trouble;"
        f"AnnotationWorker(WorkerSettings({str(ruler)!r}, OutputOptions())).annotate(0, (), {{}}, False);"
        "print(json.dumps(sorted(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", probe], cwd=root, capture_output=True, text=True, check=True)
    modules = json.loads(done.stdout)
    unwanted = ("spacy_bert_ner.encoder.model", "transformers", "pyarrow", "ray", "pandas", "matplotlib")
    assert [name for name in modules if name.startswith(unwanted)] == []


def test_progress_is_a_line_a_minute(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = ProgressLine(total=1000, quiet=False)
    progress.skip(100)
    for i in range(1, 13):
        now[0] += 10
        progress.update(FinishedShard(i, "", "", 100 + 50 * i, 5, 2000, 0, 1, {}))
    progress.close()
    assert capsys.readouterr().err.splitlines() == [
        "30 documents, 12,000 words, 200 words/s, 6 failed, 2 min left",
        "60 documents, 24,000 words, 200 words/s, 12 failed, 60 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (91, "2 min"), (3600 * 3 + 1200, "3 h 20 min"), (86400 * 3 + 7200, "3 d 2 h")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
