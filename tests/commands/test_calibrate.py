"""`calibrate`: a trained pipeline with confidences fitted to development data."""

import json
from pathlib import Path
from typing import Any

import pytest
import spacy

from tests.commands.tiny import invoke, said, save_corpus, save_model
from tests.scenarios import make_pipeline


@pytest.fixture
def case(tmp_path: Path) -> tuple[Path, Path]:
    return save_model(tmp_path), save_corpus(tmp_path / "dev.spacy")


def test_it_writes_the_pipeline_with_its_calibration(case: tuple[Path, Path], tmp_path: Path) -> None:
    figures = tmp_path / "new" / "calibration.json"
    result = invoke("calibrate", *case, tmp_path / "final", "--train", case[1], "--json", figures)
    assert result.exit_code == 0, result.output
    assert "precision_above_0.9" in result.output
    measures = json.loads(figures.read_text(encoding="utf8"))
    pipe: Any = spacy.load(tmp_path / "final").get_pipe("bert_ner")
    assert pipe.cfg["temperature"] == pytest.approx(measures["temperature"])
    assert pipe.cfg["offsets"] == pytest.approx(measures["offsets"])
    assert measures["temperature"] != 1.5  # The model's own.


def test_it_replaces_a_pipeline_where_that_is_said_and_nothing_else(case: tuple[Path, Path], tmp_path: Path) -> None:
    before = (case[0] / "bert_ner" / "cfg").read_bytes()
    result = invoke("calibrate", *case, case[0])
    assert (result.exit_code, "Add --force to replace it" in said(result)) == (1, True)
    assert (case[0] / "bert_ner" / "cfg").read_bytes() == before
    assert invoke("calibrate", *case, case[0], "--force").exit_code == 0
    assert (case[0] / "bert_ner" / "cfg").read_bytes() != before
    result = invoke("calibrate", *case, tmp_path, "--force")
    assert (result.exit_code, "holds no pipeline" in said(result)) == (1, True)
    assert case[1].is_file()


def test_which_component(case: tuple[Path, Path], tmp_path: Path, tiny_bert: Path) -> None:
    spacy.blank("en").to_disk(tmp_path / "blank")
    result = invoke("calibrate", tmp_path / "blank", case[1], tmp_path / "final")
    assert (result.exit_code, "holds no bert_ner, but nothing" in said(result)) == (1, True)
    nlp = spacy.load(case[0])
    nlp.add_pipe("bert_ner", name="other", source=make_pipeline(tiny_bert))
    nlp.to_disk(tmp_path / "two")
    result = invoke("calibrate", tmp_path / "two", case[1], tmp_path / "final")
    assert (result.exit_code, "Choose one: --component bert_ner" in said(result)) == (1, True)
    result = invoke("calibrate", tmp_path / "two", case[1], tmp_path / "final", "--component", "third")
    assert (result.exit_code, "It holds bert_ner and other" in said(result)) == (1, True)
    result = invoke("calibrate", tmp_path / "two", case[1], tmp_path / "final", "--component", "bert_ner")
    assert result.exit_code == 0, result.output


def test_a_pipeline_that_finds_nothing_says_so(case: tuple[Path, Path], tmp_path: Path, tiny_bert: Path) -> None:
    nlp = make_pipeline(tiny_bert)
    pipe: Any = nlp.get_pipe("bert_ner")
    for node in pipe.model.walk():
        if node.has_param("W"):
            node.get_param("b")[0] = 100.0
    nlp.to_disk(tmp_path / "untrained")
    result = invoke("calibrate", tmp_path / "untrained", case[1], tmp_path / "final")
    assert (result.exit_code, "finds no entity in what is annotated of the dev set" in said(result)) == (1, True)
    assert not (tmp_path / "final").exists()


def test_it_promises_and_says_of_what(case: tuple[Path, Path], tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    asked = ("--precision", "0.3", "--by-type", "--labels", "PER, LOC", "--certainty", "0.6", "--json", figures)
    result = invoke("calibrate", *case, tmp_path / "final", *asked)
    assert result.exit_code == 0, result.output
    promise = json.loads(figures.read_text(encoding="utf8"))["promise"]
    assert (promise["least"], promise["certainty"], promise["by_type"]) == (0.3, 0.6, True)
    assert [row["name"] for row in promise["rows"]] == ["PER", "LOC"]
    assert "certainty of 60%" in said(result)
    assert "has fitted the confidences, too, and chosen the checkpoint" in said(result)
    pipe: Any = spacy.load(tmp_path / "final").get_pipe("bert_ner")
    assert pipe.promise.promised == pytest.approx({row["name"]: row["promised"] for row in promise["rows"]})
    again = invoke("calibrate", tmp_path / "final", case[1], tmp_path / "without")
    assert again.exit_code == 0
    without: Any = spacy.load(tmp_path / "without").get_pipe("bert_ner")
    assert without.promise is None


def test_what_cannot_be_promised_is_said_with_what_can(case: tuple[Path, Path], tmp_path: Path) -> None:
    result = invoke("calibrate", *case, tmp_path / "final", "--recall", "0.999")
    assert result.exit_code == 0, result.output
    assert "all: recall 99.90% cannot be promised" in said(result)
    assert "points less, and is" in said(result) or "nor any other" in said(result)
    report = tmp_path / "report.html"
    result = invoke("evaluate", tmp_path / "final", case[1], "--report", report)
    assert result.exit_code == 0, result.output
    assert "Are promises kept?" in report.read_text(encoding="utf8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--precision", "0.9", "--recall", "0.9"), "A pipeline keeps one promise"),
        (("--precision", "98"), "precision 98: expected a share above 0 and below 1, such as 0.98"),
        (("--recall", "0.9", "--certainty", "1"), "certainty 1: expected a share above 0.5"),
        (("--by-type",), "--by-type promises nothing by itself"),
        (("--labels", ""), "--labels promises nothing by itself"),
        (("--certainty", "0.9"), "--certainty promises nothing by itself Add --precision 0.98, or --recall 0.99"),
        (("--precision", "0.9", "--labels", ",", "--by-type"), "--labels ',' names no entity type"),
        (("--precision", "0.9", "--labels", "DATE"), "Label 'DATE' is none of the component's: LOC, ORG, PER"),
    ],
)
def test_promises_that_are_none(
    case: tuple[Path, Path], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    result = invoke("calibrate", *case, tmp_path / "final", *options)
    assert (result.exit_code, message in said(result)) == (1, True), result.output
    assert not (tmp_path / "final").exists()
