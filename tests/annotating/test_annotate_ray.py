"""The engine `ray`: the same output as the engine `local`, whatever happens to an actor."""

import builtins
from pathlib import Path
from typing import Any

import pytest

from spacy_bert_ner.annotating import AnnotationError
from tests.annotating.runs import TEXTS, InlinePool, contents, numbered, run, write_jsonl

MANY = [f"{text} {i}" for i in range(4) for text in TEXTS]
CODE = Path(__file__).parent / "trouble.py"


# Ray leaves sockets and processes to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.ray
@pytest.mark.slow
def test_two_actors_of_which_one_dies(
    ruler: Path, tmp_path: Path, pools: list[InlinePool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install ray")
    marker = tmp_path / "marker"
    marker.touch()
    killer = ["IBM KILLS"]
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered([*MANY, f"KILLSONCE {marker}", "RAISES", *MANY, *killer]))
    run(ruler, texts, tmp_path / "inline", shard_size=20, code=CODE)
    marker.unlink()
    monkeypatch.undo()
    run(ruler, texts, tmp_path / "ray", shard_size=20, code=CODE, workers=2, engine="ray")
    assert marker.exists()
    inline, ray = contents(tmp_path / "inline"), contents(tmp_path / "ray")
    failed, journal = (inline.pop(name) for name in ("failed.jsonl", "journal.jsonl"))
    assert ray.pop("failed.jsonl").count(b"\n") == failed.count(b"\n") == 2
    assert ray.pop("journal.jsonl").count(b"\n") == journal.count(b"\n") == 3
    # How a worker died is told in the error alone.
    assert inline == ray


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.ray
@pytest.mark.slow
def test_an_actor_that_cannot_begin(ruler: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install ray")
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered(MANY))
    with pytest.raises(AnnotationError, match=r"A worker failed: .*trouble"):
        run(ruler, texts, tmp_path / "out", engine="ray", workers=1)


def test_without_ray(ruler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "ray":
            raise ModuleNotFoundError("No module named 'ray'")
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered(MANY))
    with pytest.raises(
        AnnotationError, match=r"needs Ray, which is not installed: pip install 'spacy-bert-ner\[ray\]'"
    ):
        run(ruler, texts, tmp_path / "out", engine="ray")
