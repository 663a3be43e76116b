"""Threads by which models compute beside each other."""

from contextlib import closing
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
def test_alone_by_all_cores_else_by_a_share(tmp_path: Path, workers: int, share: int) -> None:
    with closing(CoreShare(workers, tmp_path / "lock" if workers > 1 else None)) as cores:
        for alone in (True, False, True):
            with cores.computing(alone):
                pass
    assert [4, share, 4] == CHOSEN


@pytest.mark.parametrize("first", [True, False])
def test_beside_others_nobody_takes_all(tmp_path: Path, first: bool) -> None:
    with closing(CoreShare(2, tmp_path / "lock")) as one, closing(CoreShare(2, tmp_path / "lock")) as other:
        with one.computing(first):
            for alone in (True, False):
                with other.computing(alone):
                    pass
        with other.computing(alone=True):
            pass
    assert [4 if first else 2, 2, 2, 4] == CHOSEN


def test_an_error_lets_others_go_on(tmp_path: Path) -> None:
    with closing(CoreShare(2, tmp_path / "lock")) as one, closing(CoreShare(2, tmp_path / "lock")) as other:
        with pytest.raises(ValueError, match="text"), one.computing(alone=True):
            raise ValueError("text")
        with other.computing(alone=True):
            pass
    assert CHOSEN == [4, 4]


def test_what_the_environment_says_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with CoreShare(2).computing(alone=True):
        pass
    assert CHOSEN == []
