"""`bert-ner train`: the result of `spacy train`, whatever interrupts it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from thinc.api import Config
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.training import checkpoints, running
from spacy_bert_ner.training.fingerprint import take_fingerprint
from spacy_bert_ner.training.training_error import RunError
from tests.training.resuming import break_off, same
from tests.training.training_runs import (
    CONFIGS,
    OUTPUT,
    Interrupted,
    contents,
    interrupted_after,
    train,
)

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", CONFIGS)
def test_equals_spacy_train(name: str, made: Callable, tmp_path: Path) -> None:
    folder, expected = made(name)
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    same(train(tmp_path), expected)
    assert {"curve.jsonl", "log.jsonl", "model-best/meta.json", "model-last/config.cfg"} <= set(expected)
    # What stands between two evaluations is no checkpoint of a finished run.
    assert not (tmp_path / OUTPUT / "checkpoints").exists()


@pytest.mark.parametrize("name", CONFIGS)
def test_ends_the_same_however_often_it_is_interrupted(name: str, made: Callable, tmp_path: Path) -> None:
    folder, expected = made(name)
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    # At ever later points from where it goes on, so that each run comes further; the first before any checkpoint.
    for events in range(1, 100, 3):
        with interrupted_after(events):
            try:
                found = train(tmp_path, interval=0)
                break
            except Interrupted:
                continue
    else:
        pytest.fail("it never came to its end")
    same(found, expected)


@pytest.mark.slow
def test_ends_the_same_wherever_it_is_interrupted(ours: tuple[Path, dict[str, bytes]]) -> None:
    folder, _ = ours
    short: dict[str, Any] = {"overrides": {"training.max_steps": 3, "training.eval_frequency": 2}, "interval": 0}
    with interrupted_after(1000) as seen:
        expected = train(folder, **short)
    points = {f"{when} {name}" for when in ("before", "after") for name in ("_update", "write", "update_meta")}
    assert set(seen) == {"amid save_tensors", *points}
    for events in range(1, len(seen) + 1):
        shutil.rmtree(folder / OUTPUT)
        break_off(folder, events, **short)
        same(train(folder, **short), expected)


@pytest.mark.slow
def test_ends_the_same_after_twenty_kills(ours: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    folder, _ = ours
    script = PROJECT / "benchmarks" / "interruptions.py"
    paths = [f"--corpora.{split}.path={folder / split}.spacy" for split in ("train", "dev")]
    # In a process of its own, as its runs are copies of it: what other tests have left in this one is in none of them.
    # No machine is killed: nothing need be waited for on the disk.
    code = "import os, runpy, sys; os.fsync = id; del sys.argv[0]; runpy.run_path(sys.argv[0], {}, '__main__')"
    command = [sys.executable, "-c", code, str(script), str(folder / "config.cfg"), str(tmp_path / "work")]
    command += ["--kills", "20", "--json", str(tmp_path / "counts.json"), *paths]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    counts = json.loads((tmp_path / "counts.json").read_text(encoding="utf8"))
    assert counts["kills"] == 20
    assert counts["runs with the same files"] == counts["runs finished"] >= 1


def test_says_that_it_resumes(ours: tuple[Path, dict[str, bytes]], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = ours
    break_off(folder, 25, interval=0)
    capsys.readouterr()
    (step,) = [int(path.name[5:]) for path in sorted((folder / OUTPUT / "checkpoints").iterdir())[-1:]]
    train(folder)
    printed = " ".join(capsys.readouterr().out.split())
    assert f"Resuming at step {step + 1}: out holds an unfinished run of the same config and data" in printed
    train(folder)
    assert "Resuming" not in capsys.readouterr().out


def test_checkpoints_by_time_and_at_evaluations(
    ours: tuple[Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = ours
    written: list[int] = []
    write = checkpoints.Checkpoints.write

    def noting(self: checkpoints.Checkpoints, step: int, *args: Any) -> None:
        write(self, step, *args)
        written.append(step)
        assert len(self.steps()) <= 2

    monkeypatch.setattr(checkpoints.Checkpoints, "write", noting)
    train(folder)
    assert written == [0, 3, 6]
    written.clear()
    train(folder, interval=0)
    assert written == list(range(8))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"overrides": {"training.dropout": 0.5}}, "setting training.dropout: 0.2 then, 0.5 now"),
        ({"overrides": {"training.frozen_components": ["bert_ner"]}}, "not there then"),
        ({"corpus": "dev"}, "content of dev.spacy (corpora.dev.path)"),
        ({"torch": "0.1"}, "version of torch"),
        # Whose pieces the encoder reads.
        ({"torch": "0.1"}, "version of tokenizers"),
    ],
)
def test_goes_on_only_with_the_same(
    ours: tuple[Path, dict[str, bytes]], change: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, expected = ours
    break_off(folder, 25)
    if "corpus" in change:
        shutil.copy(folder / "train.spacy", folder / "dev.spacy")
    if "torch" in change:
        monkeypatch.setattr("spacy_bert_ner.storage.provenance.version", lambda name: "0.1")
    with pytest.raises(RunError) as error:
        train(folder, overrides=change.get("overrides"))
    assert said in str(error.value)
    assert "--fresh" in str(error.value)
    if "overrides" in change:
        same(train(folder), expected)


def test_an_empty_setting_is_no_file() -> None:
    # Path("") is the current folder, with whatever changes there.
    config = Config({"corpora": {"train": {"@readers": "x", "prefix": "", "path": str(PROJECT / "setup.cfg")}}})
    read = take_fingerprint(config, None, -1)["content of"]
    assert list(read) == [f"{PROJECT / 'setup.cfg'} (corpora.train.path)"]


def test_fresh_starts_over(ours: tuple[Path, dict[str, bytes]], capsys: pytest.CaptureFixture[str]) -> None:
    folder, expected = ours
    break_off(folder, 25, overrides={"training.dropout": 0.5})
    same(train(folder, fresh=True), expected)
    assert "Resuming" not in capsys.readouterr().out


@pytest.mark.parametrize("fresh", [False, True])
def test_what_cannot_begin_removes_nothing(ours: tuple[Path, dict[str, bytes]], fresh: bool) -> None:
    folder, expected = ours
    same(train(folder), expected)
    if fresh:
        break_off(folder, 25)
        shutil.copytree(folder / OUTPUT / "model-last", folder / OUTPUT / "model-best", dirs_exist_ok=True)
        expected = contents(folder / OUTPUT)
    with pytest.raises(ValueError, match=r"name = '\./nowhere'"):
        train(folder, overrides={"components.bert_ner.model.tok2vec.name": "./nowhere"}, fresh=fresh)
    assert contents(folder / OUTPUT) == expected


def test_the_command(ours: tuple[Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, expected = ours
    monkeypatch.chdir(folder)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(bert_ner_cli, ["train", "config.cfg", "--output", "out", *arguments])

    assert run().exit_code == 0
    same(contents(), expected)
    with interrupted_after(25), pytest.raises(Interrupted):
        running.train(Path("config.cfg"), OUTPUT)
    done = run("--training.dropout", "0.5")
    assert done.exit_code == 1
    said = " ".join(done.output.split())
    assert "Training cannot go on" in said
    assert "setting training.dropout: 0.2 then, 0.5 now" in said
    assert run("--training.dropout", "0.5", "--fresh").exit_code == 0
