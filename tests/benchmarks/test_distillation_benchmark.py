"""The measurement of distillation: what is masked, drawn and summed up; cells that are there are not measured."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc

from tests.benchmarks.test_small_data import load

benchmark = load("distillation")


def test_documents_keep_some_entities_and_lose_the_others(tmp_path: Path) -> None:
    doc = Doc(spacy.blank("en").vocab, words=["Anna", "left", "Paris"], ents=["B-PER", "O", "B-LOC"])
    benchmark.write_docs([doc], lambda label: label == "LOC", tmp_path / "docs.spacy")
    (read,) = benchmark.read_docs(tmp_path / "docs.spacy")
    assert [(ent.text, ent.label_) for ent in read.ents] == [("Paris", "LOC")]
    assert all(token.ent_iob_ for token in read)
    assert len(doc.ents) == 2


@pytest.mark.parametrize(("words", "texts"), [(1, 1), (3, 1), (4, 2), (100, 4)])
def test_whole_texts_are_taken_until_they_are_enough(tmp_path: Path, words: int, texts: int) -> None:
    (tmp_path / "texts.jsonl").write_text((json.dumps({"text": "one two three"}) + "\n") * 4, encoding="utf8")
    taken = benchmark.take_words(tmp_path / "texts.jsonl", words, tmp_path / "part.jsonl")
    assert len(taken.read_text(encoding="utf8").splitlines()) == texts


def cell(condition: str, seed: int, f1: float) -> dict[str, Any]:
    figures = {"f1": f1, "raw_f1": f1 - 1, "by_label": {}}
    cost = {"seconds": 100, "target_seconds": 40, "target_words": 9, "peak_mib": 7}
    return {"condition": condition, "seed": seed, **cost, "scores": {"dev": figures}}


def test_gains_are_paired_by_seed() -> None:
    cells = [cell("plain", 0, 90.0), cell("plain", 1, 92.0), cell("all", 1, 93.0), cell("all", 0, 92.0)]
    summary = benchmark.summarize_students(cells)["summary"]
    assert summary["all"]["dev_f1_gain"] == 1.5
    assert summary["all"]["dev_raw_f1"] == 91.5
    assert summary["all"]["seconds"] == 60
    assert "dev_f1_gain" not in summary["plain"]


def test_what_labels_lose_is_by_label() -> None:
    scores = {
        "old": {"PER": 95.0, "LOC": 90.0},
        "all": {"PER": 94.0, "LOC": 91.0, "ORG": 80.0},
        "kept": {"PER": 94.8, "LOC": 90.2, "ORG": 79.0},
        "forgotten": {"ORG": 81.0, "LOC": 1.0},
    }
    # Of 10 entities each, as many are predicted, and so many right.
    found = {"old": {"PER": 9, "LOC": 8}, "kept": {"PER": 9, "LOC": 7, "ORG": 1}, "forgotten": {"LOC": 1}}
    counts = {
        name: {label: {"gold": 10, "predicted": 10, "correct": found.get(name, {}).get(label, 0)} for label in each}
        for name, each in scores.items()
    }
    cells = [
        {
            "label": "ORG",
            "seed": 0,
            "scores": {name: {"by_label": each, "counts": counts[name]} for name, each in scores.items()},
        }
    ]
    row = benchmark.summarize_labels(cells)["summary"]["ORG, seed 0"]
    assert row["kept"] == {
        "old_labels_lose": {"PER": 0.2, "LOC": -0.2},
        "old_labels_lose_together": 5.0,
        "new_label": 79.0,
    }
    assert row["forgotten"]["old_labels_lose"] == {"PER": 95.0, "LOC": 89.0}
    assert row["new_label_all_annotated"] == 80.0


def test_what_is_measured_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "call", None)
    (tmp_path / "student-plain-0.json").write_text(json.dumps(cell("plain", 0, 90.0)), encoding="utf8")
    benchmark.measure_student(argparse.Namespace(work=tmp_path, name=""), "plain", 0)
    (tmp_path / "label-PER-0.json").write_text("{}", encoding="utf8")
    benchmark.measure_label(argparse.Namespace(work=tmp_path), "PER", 0)
