"""The simulation of promises, on a tiny pipeline and on entities that are made up."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spacy_bert_ner.calibration.promising import PromiseData, PromiseRequest
from tests.benchmarks.test_benchmark import load_script
from tests.calibration.test_promising import LABELS, judge
from tests.commands.tiny import save_corpus, save_model

promises = load_script("benchmarks/promises.py")


def test_it_simulates_and_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, corpus, output = save_model(tmp_path), save_corpus(tmp_path / "dev.spacy"), tmp_path / "figures.json"
    options = ["--dev", corpus, "--train", corpus, "--test", corpus, "--output", output, "--splits", "2"]
    monkeypatch.setattr(sys, "argv", ["promises.py", str(model), *map(str, options)])
    promises.main()
    figures = json.loads(output.read_text(encoding="utf8"))
    names = {
        f"{asked}, {how}"
        for asked in ("precision 0.97", "precision 0.99", "recall 0.99")
        for how in ("overall", "by type")
    }
    assert set(figures["simulated"]) == names
    assert set(figures["simulated"]["precision 0.97, by type"]) == {"LOC", "ORG", "PER", "any"}
    assert set(figures["test"][str(model)]) == names


def test_a_promise_that_holds_and_one_that_does_not() -> None:
    request, judged = PromiseRequest("precision", 0.9), judge(0, documents=60)
    good = promises.summarise_splits(promises.simulate(request, judged, LABELS, 20, 0))["all"]
    assert good["broken, measured"] <= 0.2
    assert good["broken, true"] <= good["broken, measured"] + 0.1
    (row,) = promises.make_promise(request, judged, LABELS)[1]
    wrong = replace(judged.counted, right=np.zeros_like(judged.counted.right))
    assert promises.check(row, PromiseData(wrong, wrong), LABELS, request).broken
    assert not promises.check(row, judged, LABELS, request).broken


def test_documents_that_are_drawn_twice_are_two() -> None:
    own = judge(0, documents=5).counted
    drawn = promises.draw_from(own, np.array([3, 1, 3]))
    for place, number in enumerate([3, 1, 3]):
        np.testing.assert_array_equal(drawn.score[drawn.document == place], own.score[own.document == number])
