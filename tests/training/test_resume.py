"""`bert-ner train`: the result of `spacy train`, whatever interrupts it."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from safetensors.torch import load_file
from spacy.cli.train import train as spacy_train
from thinc.api import Config, Shim
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.training import checkpoints, loop, running
from spacy_bert_ner.training.fingerprint import take_fingerprint
from spacy_bert_ner.training.parameters import Parameters
from spacy_bert_ner.training.training_error import NonFiniteError, RunError
from tests.training.training_runs import (
    OUTPUT,
    Interrupted,
    bert_config,
    contents,
    interrupted_after,
    stock_config,
    train,
    write_corpus,
)

PROJECT = Path(__file__).parents[2]


CONFIGS: dict[str, Callable[[Path], Config]] = {
    "ours": bert_config,
    "accumulated": lambda encoder: bert_config(
        encoder, accumulate_gradient=2, patience=4, max_steps=0, eval_frequency=2
    ),
    "ours with averages": lambda encoder: bert_config(
        encoder, optimizer={"@optimizers": "RAdam.v1", "learn_rate": 0.01, "use_averages": True}, max_steps=5
    ),
    "stock": lambda encoder: stock_config(),
    # Read anew in each epoch, and changed at random, while training draws from the same generator.
    "streamed": lambda encoder: stock_config(max_epochs=-1, max_steps=7).merge(
        {
            "corpora": {"train": {"augmenter": {"@augmenters": "spacy.lower_case.v1", "level": 0.5}}},
            "initialize": {"components": {"tagger": {"labels": ["A", "D", "N", "P", "V"]}}},
        }
    ),
}


@pytest.fixture(scope="module")
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


def same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def break_off(folder: Path, events: int, **options: Any) -> list[str]:
    """Train until the n-th point. RETURNS: The points that the run came to."""
    with interrupted_after(events) as seen, pytest.raises(Interrupted):
        train(folder, **options)
    return seen


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
    command = [sys.executable, str(script), str(folder / "config.cfg"), str(tmp_path / "work"), "--kills", "20"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [*command, "--json", str(tmp_path / "counts.json"), *paths],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
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


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tensors.safetensors", None, "tensors.safetensors is missing"),
        ("tensors.safetensors", 5000, "tensors.safetensors is cut short or garbled"),
        ("tensors.safetensors", 3, "tensors.safetensors is cut short or garbled"),
        ("state.json", None, "state.json is missing"),
        ("state.json", 100, "state.json is cut short or garbled"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over(
    ours: tuple[Path, dict[str, bytes]],
    name: str,
    content: int | None,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, expected = ours
    break_off(folder, 40, interval=0)
    older, newest = sorted((folder / OUTPUT / "checkpoints").glob("step-*"))
    damage(newest / name, content)
    capsys.readouterr()
    same(train(folder), expected)
    printed = " ".join(capsys.readouterr().out.split())
    assert said in printed
    assert f"Resuming at step {int(older.name[5:]) + 1}:" in printed


def damage(path: Path, length: int | None) -> None:
    if length is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:length])


@pytest.mark.parametrize("evaluated", [True, False])
def test_the_best_pipeline_is_gone(ours: tuple[Path, dict[str, bytes]], evaluated: bool) -> None:
    folder, _ = ours
    break_off(folder, 25, interval=0)
    shutil.rmtree(folder / OUTPUT / "model-best", ignore_errors=True)
    for path in (folder / OUTPUT / "checkpoints").glob("*/state.json"):
        state = json.loads(path.read_text(encoding="utf8"))
        first = state["progress"]["evaluations"][0] | {"step": 0, "score": 1.0}
        last = first | {"step": state["progress"]["step"], "score": 0.5}
        state["progress"]["evaluations"] = [first, last] if evaluated else [first]
        path.write_text(json.dumps(state), encoding="utf8")
    with pytest.raises(RunError, match="its model-best is gone: put it back, or start over with --fresh"):
        train(folder)


def test_where_no_checkpoint_is_whole(ours: tuple[Path, dict[str, bytes]]) -> None:
    folder, expected = ours
    break_off(folder, 25, interval=0)
    for path in (folder / OUTPUT / "checkpoints").glob("*/state.json"):
        damage(path, 10)
    with pytest.raises(RunError, match=r"No checkpoint in out/checkpoints is whole \(2 found\): add --fresh"):
        train(folder)
    same(train(folder, fresh=True), expected)


WRITE_ERRORS = [
    (errno.ENOSPC, r"The disk is full \([\d,]+ MB free\): .* Make room, then run the same command again"),
    (errno.EROFS, r"may not be written \(Read-only file system\)\. Name another folder with --output"),
    (errno.EACCES, r"may not be written \(Permission denied\)\. Name another folder with --output"),
    (errno.EIO, r"could not be written \(Input/output error\)\. Mend that, then run the same command again"),
]


def failing_at(call: int, function: Callable, error: Exception) -> Callable:
    """Make a function that works until the n-th call."""
    calls = 0

    def failing(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise error
        return function(*args, **kwargs)

    return failing


@pytest.mark.parametrize(
    ("number", "said", "what"),
    [*((*error, "checkpoint") for error in WRITE_ERRORS), (*WRITE_ERRORS[0], "pipeline")],
)
def test_what_cannot_be_written(ours: tuple[Path, dict[str, bytes]], number: int, said: str, what: str) -> None:
    folder, expected = ours
    with pytest.MonkeyPatch.context() as patch:
        if what == "checkpoint":
            # The library that writes them knows no OSError.
            error: Exception = checkpoints.SafetensorError(f"I/O error: something (os error {number}) at somewhere")
            patch.setattr(checkpoints, "save_file", failing_at(2, checkpoints.save_file, error))
        else:
            # Of the first file that is copied to model-best, deep in the library.
            error = OSError(number, os.strerror(number), "out/model-best/x")
            patch.setattr(shutil, "copyfile", failing_at(1, shutil.copyfile, error))
        with pytest.raises(RunError, match=said) as raised:
            train(folder)
    assert "the training goes on from step 0" in str(raised.value)
    assert list((folder / OUTPUT).rglob(".*")) == []
    same(train(folder), expected)


@pytest.mark.parametrize(("number", "said"), WRITE_ERRORS)
def test_a_folder_that_cannot_be_written_to_stops_early(
    ours: tuple[Path, dict[str, bytes]], number: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = ours

    def refuse(path: Path, content: bytes) -> int:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(running, "initialize", lambda *args, **kwargs: pytest.fail("it should not have begun"))
    with pytest.raises(RunError, match=said):
        train(folder)


def poison(step: int, function: Callable) -> Callable:
    """Make a component's get_loss give what is not a number in one step."""
    calls = 0

    def poisoned(self: Any, *args: Any) -> Any:
        nonlocal calls
        loss, gradient = function(self, *args)
        calls += 1
        return (float("nan"), gradient) if calls == step + 1 else (loss, gradient)

    return poisoned


def test_a_loss_that_is_not_finite_stops_training(
    ours: tuple[Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, expected = ours
    batches: list[list[str]] = []
    update = loop.Run._update

    def noting(self: loop.Run, step: int, batch: Any) -> None:
        batches.append([example.reference.text for example in batch])
        update(self, step, batch)

    monkeypatch.setattr(loop.Run, "_update", noting)
    with monkeypatch.context() as patch:
        patch.setattr(BertNER, "get_loss", poison(5, BertNER.get_loss))
        with pytest.raises(
            NonFiniteError, match=r"^The loss of 'bert_ner' is nan in step 5\. Training stops\."
        ) as error:
            train(folder, interval=0)
    for text in batches[5]:
        assert re.search(rf"document \d+: '{text.strip()}", str(error.value))
    assert checkpoints.Checkpoints(folder / OUTPUT).steps() == [4, 3]
    # Nothing of the run has been lost.
    same(train(folder), expected)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("evaluated", [True, False])
def test_weights_that_are_not_finite_are_never_saved(
    ours: tuple[Path, dict[str, bytes]], evaluated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = ours
    step = 3 if evaluated else 4
    update = loop.Run._update
    batches: list[list[str]] = []

    def poisoned(self: loop.Run, at: int, batch: Any) -> None:
        batches.append([example.reference.text for example in batch])
        update(self, at, batch)
        if at == step:
            for name, tensor in self.parameters.tensors().items():
                if name.startswith("bert_ner/") and name.endswith("/W"):
                    tensor.fill_(float("nan"))

    monkeypatch.setattr(loop.Run, "_update", poisoned)
    with pytest.raises(NonFiniteError, match=rf"(After|since) step {step}") as error:
        train(folder)
    assert checkpoints.Checkpoints(folder / OUTPUT).steps() == ([0] if evaluated else [3, 0])
    for text in batches[step]:
        assert text.strip() in str(error.value)
    saved = load_file(
        folder / OUTPUT / "checkpoints" / ("step-0000000" if evaluated else "step-0000003") / "tensors.safetensors"
    )
    assert all(torch.isfinite(tensor).all() for tensor in saved.values())


def test_weights_that_are_in_no_torch_module_are_refused_at_once() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("tagger").add_label("N")  # type: ignore[attr-defined]
    nlp.initialize()
    nlp.get_pipe("tagger").model.shims.append(Shim(None))  # type: ignore[attr-defined]
    with pytest.raises(
        RunError, match=r"^Component 'tagger' keeps its weights in a Shim, expected .* `python -m spacy"
    ):
        Parameters(nlp, [])
    assert Parameters(nlp, ["tagger"]).tensors() == {}


def test_names_tell_equal_layers_apart() -> None:
    nlps = [spacy.blank("en") for _ in range(2)]
    for nlp in nlps:
        for name in ("first", "second"):
            nlp.add_pipe("tagger", name=name).add_label("N")  # type: ignore[attr-defined]
        nlp.initialize()
    first, second = (Parameters(nlp, []) for nlp in nlps)
    assert sorted(first.names().values()) == sorted(second.names().values())
    assert len(set(first.names().values())) == len(first.names())
    assert first.names().keys().isdisjoint(second.names())
    second.load_tensors(first.tensors())
    for name, tensor in second.tensors().items():
        torch.testing.assert_close(tensor, first.tensors()[name], rtol=0, atol=0)
    narrow = spacy.blank("en")
    narrow.add_pipe("tagger", name="first").add_label("N")  # type: ignore[attr-defined]
    narrow.initialize()
    with pytest.raises(RunError, match="does not fit the pipeline"):
        Parameters(narrow, []).load_tensors(first.tensors())


def test_tied_weights_are_written_twice(tmp_path: Path) -> None:
    weights = torch.ones(3, 2)
    checkpoints.save_tensors({"one": weights, "other": weights, "turned": weights.T}, tmp_path / "tensors")
    loaded = load_file(tmp_path / "tensors")
    assert {name: tuple(tensor.shape) for name, tensor in loaded.items()} == {
        "one": (3, 2),
        "other": (3, 2),
        "turned": (2, 3),
    }


def test_numbers_keep_their_type() -> None:
    values = {"loss": np.float32(0.1), "score": 0.1, "list": [1, None, float("inf")]}
    loaded = json.loads(json.dumps(values, default=checkpoints.encode_number), object_hook=checkpoints.decode_number)
    assert loaded == values
    assert {name: type(value) for name, value in loaded.items()} == {"loss": np.float32, "score": float, "list": list}
    with pytest.raises(TypeError, match="A set cannot be kept in a checkpoint"):
        checkpoints.encode_number({1})


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
