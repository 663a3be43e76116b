"""Threads by which models compute beside each other."""

import signal
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import torch

from spacy_bert_ner.serving.cores import CoreShare


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spacy_bert_ner.serving.cores.usable_cores", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", CHOSEN.append)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    CHOSEN.clear()


CHOSEN: list[int] = []


@pytest.mark.parametrize(("workers", "share"), [(1, 3), (2, 2), (4, 1), (8, 1)])
def test_by_all_cores_where_nobody_else_computes_else_by_a_share(tmp_path: Path, workers: int, share: int) -> None:
    with closing(CoreShare(workers, tmp_path)) as one, closing(CoreShare(workers, tmp_path)) as other:
        for cores in (one, other, one):
            with cores.computing():
                pass
        with one.computing():
            for _ in range(2):
                with other.computing():
                    pass
        with other.computing():
            pass
    assert [4, 4, 4, 4, share, share, 4] == CHOSEN


def test_of_two_who_began_together_neither_takes_all(tmp_path: Path) -> None:
    with ExitStack() as stack:
        three = [stack.enter_context(closing(CoreShare(2, tmp_path))) for _ in range(3)]
        with three[0].computing(), three[1].computing():
            # The first one began alone; its next batch is computed beside the second one's.
            with three[0].computing():
                pass
            with three[2].computing():
                pass
    assert CHOSEN == [4, 2, 2, 2]


def test_an_error_lets_others_go_on(tmp_path: Path) -> None:
    with closing(CoreShare(2, tmp_path)) as one, closing(CoreShare(2, tmp_path)) as other:
        with pytest.raises(ValueError, match="text"), one.computing():
            raise ValueError("text")
        with other.computing():
            pass
    assert CHOSEN == [4, 4]


def test_who_ended_does_not_compute(tmp_path: Path) -> None:
    code = f"""
import os, pathlib, signal
from spacy_bert_ner.serving.cores import CoreShare
with CoreShare(2, pathlib.Path({str(tmp_path)!r})).computing():
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    with closing(CoreShare(2, tmp_path)) as ended:
        pass
    with closing(CoreShare(2, tmp_path)) as cores:
        with cores.computing():
            pass
        with pytest.raises(ValueError, match="closed"), ended.computing():
            pass
    assert CHOSEN == [4]


def test_what_shares_nothing_takes_all() -> None:
    with CoreShare(2).computing():
        pass
    assert CHOSEN == [4]


def test_what_the_environment_says_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with CoreShare(2, tmp_path).computing():
        pass
    assert CHOSEN == []
