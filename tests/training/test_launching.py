"""`bert-ner train --processes` and `torchrun`: all processes end together, whatever ends one of them, and go on."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from thinc.api import Config
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.training.parallel.group import LostError
from spacy_bert_ner.training.parallel.launching import (
    REASONS,
    Outcome,
    WorkerError,
    judge,
    outcome_of,
    train_as_started,
    train_in_processes,
)
from spacy_bert_ner.training.training_error import RunError
from tests.scenarios import CNN
from tests.training.training_runs import OUR_OPTIMIZER, contents, make_config, write_corpus

# Seconds for what takes a few.
DEADLINE = 240
ENDLESS = ["--training.max_steps", "1000000", "--training.eval_frequency", "1000000", "--checkpoint-every", "0"]
TRAIN = ["train", "config.cfg", "--output", "out"]
# Comes to the second of several processes alone.
FAILING = """
import spacy, torch.distributed

@spacy.registry.callbacks("tests.fail_in_one.v1")
def make():
    def fail(nlp, info):
        if torch.distributed.get_rank() == 1 and info["step"] == 2:
            raise KeyError("only here")
    return fail
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with corpora and a config, in which the test runs."""
    write_corpus(tmp_path)
    head = {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": CNN}
    ner = {"bert_ner": {"factory": "bert_ner", "model": head}}
    make_config(ner, {"optimizer": OUR_OPTIMIZER}).to_disk(tmp_path / "config.cfg")
    monkeypatch.chdir(tmp_path)
    # Tests started by pytest-xdist have a WORLD_SIZE of nobody.
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    return tmp_path


def children_of(pid: int) -> list[int]:
    """RETURNS: The processes that a process has started, in order."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_over(pid: int) -> bool:
    """RETURNS: Whether a process has ended, as far as it can: nobody may have asked how."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return True


def steps_saved() -> list[int]:
    found = [path / "state.json" for path in Path("out/checkpoints").glob("step-*")]
    return [json.loads(path.read_text(encoding="utf8"))["progress"]["step"] for path in found]


def has_checkpoint() -> bool:
    return any(Path("out/checkpoints").glob("step-*"))


def train_until(act: Callable[[list[int]], None], capfd: pytest.CaptureFixture[str]) -> tuple[int, str, list[int]]:
    """Run the command here, and act on its processes once there is a checkpoint.

    RETURNS: Its exit code, what it and they printed, and the processes.
    """
    workers: list[int] = []

    def wait_and_act() -> None:
        try:
            wait_until(has_checkpoint)
        finally:
            ours = {child.pid for child in multiprocessing.active_children()}
            workers.extend(child for child in children_of(os.getpid()) if child in ours)
            act(workers)

    acting = threading.Thread(target=wait_and_act)
    acting.start()
    # Here, in the main thread, which alone gets signals.
    result = CliRunner().invoke(bert_ner_cli, [*TRAIN, "--processes", "2", *ENDLESS])
    acting.join()
    theirs = capfd.readouterr()
    return result.exit_code, " ".join(f"{result.output} {theirs.out} {theirs.err}".split()), workers


@pytest.mark.parametrize("victim", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_the_end_of_one_process_is_the_end_of_all(
    folder: Path, victim: int, capfd: pytest.CaptureFixture[str], forked_workers: None
) -> None:
    code, printed, workers = train_until(lambda workers: os.kill(workers[victim], signal.SIGKILL), capfd)
    assert code == 1
    assert len(workers) == 2
    assert f"Training was broken off process {victim + 1} of 2: SIGKILL, as where memory runs out" in printed
    assert "the same command goes on from there" in printed
    assert "Traceback" not in printed
    assert all(map(is_over, workers))
    assert steps_saved()


@pytest.mark.slow
def test_so_is_that_of_the_one_that_started_them(folder: Path) -> None:
    command = [sys.executable, "-m", "spacy_bert_ner", *TRAIN, "--processes", "2", *ENDLESS]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(has_checkpoint)
        children = children_of(process.pid)
        workers = [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
        assert len(workers) == 2
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: all(map(is_over, workers)))


@pytest.mark.slow
def test_ctrl_c_stops_all_after_the_same_step(
    folder: Path, capfd: pytest.CaptureFixture[str], forked_workers: None
) -> None:
    code, printed, _ = train_until(lambda _: os.kill(os.getpid(), signal.SIGINT), capfd)
    assert code == 130
    assert printed.count("Ctrl-C: stopping after this step, with a checkpoint") == 1
    assert "the same command goes on from there" in printed
    assert "Traceback" not in printed
    assert max(steps_saved()) > 0
    assert (folder / "out" / "model-last").exists()


def test_an_error_in_one_process_ends_all(folder: Path, forked_workers: None) -> None:
    (folder / "code.py").write_text(FAILING, encoding="utf8")
    config = Config().from_disk("config.cfg", interpolate=False)
    config["training"]["before_update"] = {"@callbacks": "tests.fail_in_one.v1"}
    config.to_disk("config.cfg")
    with pytest.raises(WorkerError, match=r"^process 2 of 2: KeyError: 'only here'") as caught:
        train_in_processes(2, Path("config.cfg"), Path("out"), code=Path("code.py"))
    assert "raise KeyError" in caught.value.__notes__[0]


@pytest.mark.slow
def test_a_run_is_made_to_its_end_and_said_once_as_by_torchrun(
    folder: Path, capfd: pytest.CaptureFixture[str], forked_workers: None
) -> None:
    train_in_processes(2, Path("config.cfg"), Path("out"))
    printed = capfd.readouterr()
    assert printed.out.count("Saved pipeline to output directory") == 1
    assert "Warning" not in printed.err
    made = contents(folder / "out")
    assert {"curve.jsonl", "model-best/meta.json", "model-last/meta.json"} <= made.keys()
    assert json.loads(made["model-last/meta.json"])["performance"]["ents_f"] > 0

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "spacy_bert_ner", *TRAIN]
    ran = subprocess.run(torchrun, capture_output=True, text=True, timeout=DEADLINE)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("Saved pipeline to output directory") == 1
    by_torchrun = contents(folder / "out")
    assert by_torchrun.keys() == made.keys()
    assert by_torchrun["model-last/bert_ner/model"] == made["model-last/bert_ner/model"]


def test_the_processes_of_torchrun_start_no_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RunError, match="leave --processes out"):
        train_in_processes(2, Path("config.cfg"), Path("out"))


def test_a_process_of_its_own_trains_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    train_as_started(Path("config.cfg"), Path("out"), overrides={"training.max_steps": 1})
    assert (folder / "out" / "model-last" / "meta.json").exists()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, Outcome("done")),
        (RunError("bad config"), Outcome("refused", "bad config")),
        (LostError("gone"), Outcome("lost", "gone")),
        (KeyboardInterrupt(), Outcome("interrupted")),
        (SystemExit(3), Outcome("exited", "3")),
        (SystemExit("why"), Outcome("exited", "1")),
        (ValueError("x"), Outcome("failed", "ValueError: x")),
    ],
)
def test_what_becomes_of_a_job(error: BaseException | None, expected: Outcome) -> None:
    def job() -> None:
        if error is not None:
            raise error

    assert outcome_of(job)[:2] == expected[:2]


JUDGED: list[tuple[list[Outcome], type[BaseException] | None]] = [
    ([Outcome("done"), Outcome("done")], None),
    ([Outcome("lost", "x"), Outcome("died", "y")], LostError),
    ([Outcome("lost", "x"), Outcome("failed", "y")], WorkerError),
    ([Outcome("lost", "x"), Outcome("refused", "y")], RunError),
    ([Outcome("interrupted"), Outcome("lost", "x")], KeyboardInterrupt),
    ([Outcome("exited", "2"), Outcome("exited", "2")], SystemExit),
    ([Outcome("lost", "x")], LostError),
]


@pytest.mark.parametrize(("outcomes", "expected"), JUDGED)
def test_the_reason_is_told_not_what_followed_from_it(outcomes: list[Outcome], expected: Any) -> None:
    if expected is None:
        judge(outcomes)
        return
    with pytest.raises(expected) as caught:
        judge(outcomes[::-1])
    assert type(caught.value) is expected
    reasons = [outcome.text for outcome in sorted(outcomes, key=lambda each: REASONS.index(each.kind))]
    assert str(caught.value) == reasons[0]
