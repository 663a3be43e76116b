"""A run that is killed, by whatever and at whatever moment, goes on and ends with the bytes of one that was not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spacy_bert_ner.annotating import AnnotationError
from tests.annotating.runs import TEXTS, InlinePool, contents, numbered, run, write_jsonl

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# Seconds for what takes a few.
DEADLINE = 600
MANY = [f"{text} {i}" for i in range(3) for text in TEXTS]


def with_root() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def test_killed_at_every_point(ruler: Path, tmp_path: Path) -> None:
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered([*MANY[:3], "RAISES", *MANY[3:5]]))
    # A folder of shards, and one file: in one process, most of whose time are its imports.
    points = {"": 20, ".parquet": 22}
    command = [sys.executable, str(HERE / "kill_everywhere.py"), str(ruler), str(texts), str(tmp_path), *points]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=with_root(), timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    killed = [int(line) for line in done.stdout.splitlines()]
    assert [number > least for number, least in zip(killed, points.values(), strict=True)] == [True, True], killed


@pytest.mark.parametrize("taken", [1, 2, 40, 200])
def test_a_torn_journal(ruler: Path, tmp_path: Path, pools: list[InlinePool], taken: int) -> None:
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered(MANY))
    run(ruler, texts, tmp_path / "out", shard_size=5)
    before = contents(tmp_path / "out")
    journal = tmp_path / "out" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-taken])
    (tmp_path / "out" / "summary.json").unlink()
    run(ruler, texts, tmp_path / "out", shard_size=5)
    assert contents(tmp_path / "out") == before
    assert pools[1].started == 1


def test_standard_input_that_differs_is_refused(
    ruler: Path, tmp_path: Path, pools: list[InlinePool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def annotate(texts: list[str], **options: Any) -> None:
        with write_jsonl(tmp_path / "texts.jsonl", numbered(texts)).open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            run(ruler, "-", tmp_path / "out", shard_size=5, **options)

    annotate(MANY)
    before = contents(tmp_path / "out")
    annotate(MANY)
    with pytest.raises(AnnotationError, match="-:6: from here on the input differs from what was annotated before"):
        annotate([*MANY[:7], "another", *MANY[8:]])
    with pytest.raises(AnnotationError, match="The input has ended after 2 shards, and had more"):
        annotate(MANY[:10])
    assert contents(tmp_path / "out") == before
    annotate(MANY[:10], fresh=True)
    assert len(contents(tmp_path / "out")) == len(before) - 2


def children_of(pid: int) -> list[int]:
    """RETURNS (list[int]): The worker processes of a process."""
    listing = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in listing.stdout.splitlines() if "spawn_main" in line]


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs Linux's ps")
def test_kills_of_the_command(cnn: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    """A worker is killed, which the run survives; then the run is, wherever it is; a second one finishes it."""
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered([f"{text} {i}" for i in range(150) for text in TEXTS]))
    arguments = ["annotate", str(cnn), str(texts), "out", "--shard-size", "10", "--workers", "2"]
    run(str(cnn), str(texts), tmp_path / "whole", shard_size=10)
    killed_in = tmp_path / "killed"
    killed_in.mkdir()
    journal = killed_in / "out" / "journal.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "spacy_bert_ner", *arguments],
        cwd=killed_in,
        env=with_root(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def finished_shards() -> int:
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    try:
        wait_until(lambda: process.poll() is not None or finished_shards() > 2)
        for pid in children_of(process.pid)[:1]:
            os.kill(pid, signal.SIGKILL)
        before = finished_shards()
        wait_until(lambda: process.poll() is not None or finished_shards() > before + 20)
        # It has survived the worker's death; where the machine is so slow that it is finished, killing does nothing.
        assert process.poll() in (None, 0)
    finally:
        process.kill()
        process.wait()
    run(str(cnn), str(texts), killed_in / "out", shard_size=10)
    assert contents(killed_in / "out") == contents(tmp_path / "whole")
