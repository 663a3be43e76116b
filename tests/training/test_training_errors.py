"""Training that cannot go on: damaged checkpoints, disks that cannot be written to, numbers that are not finite."""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy
import torch
from safetensors.torch import load_file
from thinc.api import Shim

from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.training import checkpoints, loop, running
from spacy_bert_ner.training.parameters import Parameters
from spacy_bert_ner.training.training_error import NonFiniteError, RunError
from tests.training.resuming import break_off, same
from tests.training.training_runs import (
    OUTPUT,
    train,
)


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
    (errno.EIO, r"could not be written \(Input/output error\)\. Fix that, then run the same command again"),
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
