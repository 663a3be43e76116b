"""The comparison on few sentences: how they are drawn, scored and summed up; cells that are there are not measured."""

import argparse
import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
import spacy
from seqeval.metrics.sequence_labeling import get_entities
from spacy.tokens import Doc, DocBin, Span

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(name: str) -> ModuleType:
    """Import a script, which is no part of the package."""
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


benchmark, systems = load("small_data"), load("small_systems")
VOCAB = spacy.blank("en").vocab


def doc_of(sentences: int) -> Doc:
    words = ["Anna", "met", "."] * sentences
    doc = Doc(VOCAB, words=words, sent_starts=[True, False, False] * sentences)
    doc.set_ents([Span(doc, 3 * i, 3 * i + 1, label="PER") for i in range(sentences)])
    return doc


@pytest.mark.parametrize("sentences", [1, 10, 50])
def test_whole_documents_are_drawn_each_draw_anew(sentences: int) -> None:
    docs = [doc_of(count) for count in (1, 2, 3, 5, 8, 13, 21) * 3]
    drawn = [benchmark.draw_documents(docs, sentences, draw) for draw in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    for chosen in drawn:
        assert len({id(doc) for doc in chosen}) == len(chosen)
        assert 0 < sum(len(list(doc.sents)) for doc in chosen) <= sentences


def test_entities_of_tags_are_seqevals() -> None:
    names = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]
    for seed in range(200):
        tags = random.Random(seed).choices(names, k=8)
        expected = {(begin, end + 1, label) for label, begin, end in get_entities(tags)}
        assert systems.entities_of_tags(tags) == expected


def test_f1() -> None:
    assert systems.f1([{1, 2}, {3}], [{1}, {3, 4}]) == pytest.approx(2 / 3)
    assert systems.f1([set()], [set()]) == 0


def test_first_pieces_carry_the_labels(tiny_bert: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    doc = Doc(VOCAB, words=["Janes", "met"], ents=["B-PER", "O"], sent_starts=[True, False])
    (row,) = systems.label_pieces(tokenizer, [doc], ["O", "B-PER", "I-PER"])
    assert [label for label in row["labels"] if label != -100] == [1, 0]
    assert len(row["labels"]) == len(row["input_ids"]) > 4
    # A type that training did not show.
    (row,) = systems.label_pieces(tokenizer, [doc], ["O"])
    assert [label for label in row["labels"] if label != -100] == [0, 0]


def cell(system: str, draw: int, f: float) -> dict[str, Any]:
    return {"system": system, "size": 50, "draw": draw, "dev_f": f, "test_f": f - 1, "train_seconds": 2.0}


def test_ours_is_compared_with_the_better_of_the_others_of_the_same_draw() -> None:
    cells = [cell("ours", 0, 60), cell("ours", 1, 50), cell("stock", 0, 55), cell("trainer", 0, 58)]
    row = benchmark.summarize([*cells, cell("trainer", 1, 20)])["sizes"]["50"]
    assert row["ours_less_the_better_dev"] == {"mean": 16.0, "draws": [2, 30]}
    assert row["ours"] == {"draws": 2, "dev_f": 55, "test_f": 54, "train_seconds": 2.0}


def test_the_curves_are_a_picture_that_says_its_figures() -> None:
    cells = [cell("ours", 0, 60), cell("ours", 1, 50), cell("trainer", 0, 40), cell("ours", 0, 80) | {"size": 3000}]
    root = ElementTree.fromstring(benchmark.draw_curves(cells))
    said = "F1 on dev by sentences. bert_ner: 55.0 at 50, 80.0 at 3,000; Trainer: 40.0 at 50; spaCy's ner: not measured"
    assert root.get("aria-label") == said
    texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"bert_ner", "Trainer", "50", "3,000"} <= texts
    assert "spaCy's ner" not in texts


def test_a_cell_that_is_there_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    DocBin(docs=[doc_of(9), doc_of(2)]).to_disk(tmp_path / "train.spacy")
    called: list[list[str]] = []

    def run(command: list[str], **_: Any) -> None:
        called.append(command)
        Path(command[-1]).write_text('{"dev_f": 70.0, "test_f": 69.0, "train_seconds": 1.0}', encoding="utf8")

    monkeypatch.setattr(benchmark.subprocess, "run", run)
    args = argparse.Namespace(
        work=tmp_path / "work", encoder="e", corpus=tmp_path, bridge="other", minutes=1.0, threads=1
    )
    for _ in range(2):
        for system in ("ours", "stock"):
            benchmark.measure(args, system, 10, 0)
    assert [command[0] for command in called] == [sys.executable, "other"]
    assert called[1][2] == "stock"
    cells = benchmark.read_cells(args.work)
    assert [(found["system"], found["dev_f"], found["sentences"] in (2, 9)) for found in cells] == [
        ("ours", 70, True),
        ("stock", 70, True),
    ]


def test_stock_is_stopped_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.0, 15.1])
    monkeypatch.setattr(systems.time, "monotonic", lambda: next(clock))
    deadline = systems.Deadline(5.0)
    deadline(None, {"step": 0})
    deadline(None, {"step": 1})
    with pytest.raises(TimeoutError):
        deadline(None, {"step": 2})
    assert deadline.step == 2


@pytest.mark.parametrize(("before", "kept"), [(None, "now"), (0.4, "now"), (0.6, "before")])
def test_what_the_clock_stops_is_kept_where_it_is_the_better(tmp_path: Path, before: float | None, kept: str) -> None:
    DocBin(docs=[doc_of(3)]).to_disk(tmp_path / "stop.spacy")
    nlp = spacy.blank("en")
    nlp.meta["name"] = "before"
    nlp.meta["performance"] = {"ents_f": before}
    nlp.to_disk(tmp_path / "best")
    nlp.meta["name"] = "now"
    nlp.evaluate = lambda examples: {"ents_f": 0.5} if len(list(examples)) == 1 else {}  # type: ignore[assignment, method-assign]
    systems.keep_the_better(nlp, tmp_path / "stop.spacy", tmp_path / "best")
    assert spacy.load(tmp_path / "best").meta["name"] == kept
