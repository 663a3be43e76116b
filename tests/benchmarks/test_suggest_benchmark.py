"""The simulation of suggestions: what is chosen, what is compared; steps that are there are not trained."""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from spacy.tokens import Doc

from tests.auditing.corpora import make_corpus
from tests.benchmarks.test_small_data import load
from tests.commands.tiny import save_model

benchmark = load("suggest")


@pytest.mark.parametrize(
    ("curve", "share"),
    [
        ([(100, 50.0), (500, 80.0)], 0.5),
        ([(100, 50.0), (300, 70.0), (500, 90.0)], 0.4),
        ([(100, 85.0)], 0.1),
        ([(100, 50.0), (900, 79.0)], None),
        # A fall between does not count twice.
        ([(100, 50.0), (200, 80.0), (300, 70.0), (400, 90.0)], 0.2),
        ([], None),
    ],
)
def test_words_for_the_same_score(curve: list[tuple[float, float]], share: float | None) -> None:
    assert benchmark.share_of_words(curve, [(100, 40.0), (1000, 80.0)]) == share


def test_sentences_keep_their_entities() -> None:
    docs = make_corpus()
    joined = Doc.from_docs(docs)
    assert joined is not None
    assert [[ent.text for ent in doc.ents] for doc in benchmark.split_sentences([joined])] == [
        [ent.text for ent in doc.ents] for doc in docs
    ]


@pytest.fixture
def args(tmp_path: Path) -> argparse.Namespace:
    work = tmp_path / "work"
    work.mkdir()
    return argparse.Namespace(
        work=work, encoder="e", step=4, stop=12, pool=18, until_reached=False, threads=1, model=save_model(tmp_path)
    )


@pytest.fixture
def trained(args: argparse.Namespace, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sentences each training had."""
    sizes: list[int] = []

    def train(_: argparse.Namespace, docs: Sequence[Doc], folder: Path, draw: int) -> dict[str, Any]:
        sizes.append(len(docs))
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(args.model, folder / "out" / "model-best")
        return {"dev_f": 50.0 + len(docs), "train_seconds": 1.0}

    monkeypatch.setattr(benchmark, "train", train)
    return sizes


def test_ways_share_their_start_and_choose_from_the_pool(args: argparse.Namespace, trained: list[int]) -> None:
    sentences = make_corpus()
    for way in ("random", "both"):
        benchmark.run_way(args, sentences, way, 0)
    # `both` needs the model of the common start again; random choice needs none between.
    assert trained == [4, 12, 4, 8, 12]
    steps = {path.name: json.loads(path.read_text(encoding="utf8")) for path in args.work.glob("*.json")}
    assert sorted(steps) == [
        "both-0-12.json",
        "both-0-8.json",
        "random-0-12.json",
        "start-0-4.json",
    ]
    start = steps["start-0-4.json"]["chosen"]
    for step in steps.values():
        assert step["chosen"][:4] == start
        assert len(set(step["chosen"])) == step["size"] == len(step["chosen"])
        assert step["words"] == sum(len(sentences[i]) for i in step["chosen"])
    for way in ("random", "both"):
        benchmark.run_way(args, sentences, way, 0)
    assert len(trained) == 5
    figures = benchmark.summarize(benchmark.read_steps(args.work))
    assert [(step["size"], step["draws"]) for step in figures["curves"]["both"]] == [(4, 1), (8, 1), (12, 1)]
    assert figures["share of the words"]["random"] == {"draws": {0: 1.0}, "mean": 1.0}
    assert figures["share of the words"]["both"]["mean"] is not None


def test_a_way_ends_where_random_choice_ended(
    args: argparse.Namespace, trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    args.until_reached = True
    sentences = make_corpus()
    benchmark.run_way(args, sentences, "both", 1)
    assert trained == [4, 8, 12], "what random choice ends with is not known"
    benchmark.run_way(args, sentences, "random", 0)
    train = benchmark.train
    monkeypatch.setattr(benchmark, "train", lambda *given: train(*given) | {"dev_f": 54.0 + 2 * len(given[1])})
    trained.clear()
    for _ in range(2):
        benchmark.run_way(args, sentences, "both", 0)
        assert trained == [4, 8]
    assert benchmark.summarize(benchmark.read_steps(args.work))["share of the words"]["both"]["mean"] < 1


def test_a_step_that_was_interrupted_is_the_same_again(args: argparse.Namespace, trained: list[int]) -> None:
    sentences = make_corpus()
    benchmark.run_way(args, sentences, "uncertainty", 1)
    last = args.work / "uncertainty-1-12.json"
    whole = last.read_bytes()
    last.unlink()
    benchmark.run_way(args, sentences, "uncertainty", 1)
    assert last.read_bytes() == whole
