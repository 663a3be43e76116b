"""A run that is killed, by whatever and at whatever moment, goes on and ends with the bytes of one that was not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from spacy_bert_ner.annotating import AnnotationError
from tests.annotating.runs import TEXTS, InlinePool, contents, numbered, run, write_jsonl

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MANY = [f"{text} {i}" for i in range(3) for text in TEXTS]


def with_root() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.parametrize(
    ("suffix", "points"), [pytest.param("", 35, marks=pytest.mark.slow), pytest.param(".parquet", 38)]
)
def test_killed_at_every_point(ruler: Path, tmp_path: Path, suffix: str, points: int) -> None:
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered([*MANY[:5], "RAISES", *MANY[5:9]]))
    (tmp_path / "work").mkdir()
    command = [sys.executable, str(HERE / "kill_everywhere.py"), str(ruler), str(texts), str(tmp_path / "work"), suffix]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=with_root(), timeout=240)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > points


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


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs Linux's ps")
def test_random_kills_of_the_command(cnn: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered([f"{text} {i}" for i in range(600) for text in TEXTS]))
    arguments = ["annotate", str(cnn), str(texts), "out", "--shard-size", "50"]
    command = [sys.executable, "-m", "spacy", "bert-ner", *arguments]
    killed_in = tmp_path / "killed"
    killed_in.mkdir()
    run(str(cnn), str(texts), tmp_path / "whole", shard_size=50)
    rng = random.Random(0)
    for killed, workers in enumerate((1, 2, 3)):
        process = subprocess.Popen(
            [*command, "--workers", str(workers)],
            cwd=killed_in,
            env=with_root(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(3, 9))
        victims = children_of(process.pid) if killed % 2 else []
        for pid in victims[:1] or [process.pid]:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        process.kill()
        process.wait()
    subprocess.run([*command, "--workers", "2"], cwd=killed_in, env=with_root(), check=True, capture_output=True)
    assert contents(killed_in / "out") == contents(tmp_path / "whole")
