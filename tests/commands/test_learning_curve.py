"""`learning-curve`: nested parts of the training data, each trained once, and what twice the data would give."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_bert_ner.training.data_curve import (
    CURVE_PARTS,
    DataPoint,
    choose_documents,
    expected_gain,
    foretell,
    read_documents,
)
from spacy_bert_ner.training.training_error import RunError
from tests.commands.test_train_command import NER, OPTIMIZER
from tests.commands.tiny import invoke, said
from tests.training.training_runs import make_config, record_runs, write_corpus


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with corpora and a config, in which the test runs."""
    write_corpus(tmp_path)
    make_config({"bert_ner": NER}, {"optimizer": OPTIMIZER}).to_disk(tmp_path / "config.cfg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of the runs that are made."""
    return record_runs(monkeypatch)


def curve(*args: Any) -> str:
    result = invoke("learning-curve", "config.cfg", "--output", "curve", *args)
    assert result.exit_code == 0, result.output
    return said(result)


def test_each_part_is_trained_once(folder: Path, trained: list[str]) -> None:
    printed = curve()
    assert trained == list(CURVE_PARTS)
    # The corpus of the tests is all learnt.
    assert "on this dev set" in printed
    points = json.loads((folder / "curve" / "learning-curve.json").read_text(encoding="utf8"))["points"]
    assert [point["part"] for point in points] == list(CURVE_PARTS)
    counts = [point["documents"] for point in points]
    total = len(read_documents(folder / "train.spacy"))
    assert counts == [round(share * total) for share in CURVE_PARTS.values()]
    assert all(point["words"] and point["entities"] for point in points)
    # The pipeline of all the data is kept; of the others, what they gave.
    assert sorted(path.parent.name for path in folder.glob("curve/*/model-best")) == ["all"]
    assert curve().endswith(printed[printed.index("Learning curve") :])
    assert trained == list(CURVE_PARTS)


def test_it_goes_on_where_it_was_interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch, trained: list[str]) -> None:
    def stop(config: Path, output: Path, **options: Any) -> None:
        raise RunError("stopped")

    with monkeypatch.context() as patch:
        curve()
        whole = (folder / "curve" / "learning-curve.json").read_bytes()
        state = json.loads(whole)
        state["points"] = state["points"][:2]
        (folder / "curve" / "learning-curve.json").write_text(json.dumps(state), encoding="utf8")
        patch.setattr("spacy_bert_ner.training.parallel.launching.train", stop)
        result = invoke("learning-curve", "config.cfg", "--output", "curve")
        assert (result.exit_code, "stopped" in result.output) == (1, True)
    del trained[:]
    curve()
    assert trained == ["three-quarters", "all"]
    assert (folder / "curve" / "learning-curve.json").read_bytes() == whole


def test_another_curve_is_not_mixed_in(folder: Path, trained: list[str]) -> None:
    curve("--training.max_steps", "3")
    result = invoke("learning-curve", "config.cfg", "--output", "curve", "--training.max_steps", "4")
    assert result.exit_code == 1
    assert "training.max_steps: 3 then, 4 now" in said(result)
    assert "--fresh" in said(result)
    del trained[:]
    curve("--training.max_steps", "4", "--fresh")
    assert trained == list(CURVE_PARTS)


@pytest.mark.parametrize("content", ["{}", "[1]", "{", '{"points": [{"part": "quarter"}], "fingerprints": {}}'])
def test_what_is_no_curve_is_refused(folder: Path, content: str) -> None:
    (folder / "curve").mkdir()
    (folder / "curve" / "learning-curve.json").write_text(content)
    result = invoke("learning-curve", "config.cfg", "--output", "curve")
    assert (result.exit_code, "learning-curve.json is no learning curve" in said(result)) == (1, True)


@pytest.mark.parametrize(
    ("override", "message"),
    [(("--training.max_epochs", "-1"), "is streamed"), (("--training.droput", "1"), "--training.dropout")],
)
def test_what_has_no_parts_is_refused(folder: Path, override: tuple[str, str], message: str) -> None:
    result = invoke("learning-curve", "config.cfg", "--output", "curve", *override)
    assert (result.exit_code, message in said(result)) == (1, True)
    assert not (folder / "curve").exists()


def test_torchrun_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "--processes" in said(invoke("learning-curve", "config.cfg", "--output", "curve"))


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_parts_are_nested_and_in_order(count: int) -> None:
    docs = [spacy.blank("en").make_doc(str(i)) for i in range(count)]
    chosen = [[doc.text for doc in choose_documents(docs, share)] for share in CURVE_PARTS.values()]
    assert chosen[-1] == [doc.text for doc in docs]
    for smaller, larger in pairwise(chosen):
        assert smaller
        assert set(smaller) <= set(larger)
        assert larger == sorted(larger, key=int)


@pytest.mark.parametrize("place", range(8))
def test_the_smallest_part_has_entities_where_any_document_has(place: int) -> None:
    docs = [spacy.blank("en").make_doc("Anna left") for _ in range(8)]
    without = choose_documents(docs, 0.25)
    docs[place].set_ents([docs[place].char_span(0, 4, label="PER")])
    chosen = choose_documents(docs, 0.25)
    assert docs[place] in chosen
    assert len(chosen) == len(without) == 2
    assert next(doc for doc in chosen if doc is not docs[place]) in without


def test_too_few_documents_are_refused(folder: Path, trained: list[str]) -> None:
    docs = read_documents(folder / "train.spacy")
    empty = spacy.blank("en").make_doc("")
    DocBin(docs=[docs[0], empty, empty]).to_disk(folder / "few.spacy")
    result = invoke("learning-curve", "config.cfg", "--output", "curve", "--corpora.train.path", "few.spacy")
    assert result.exit_code == 1
    assert "few.spacy holds 1 document with tokens, expected at least 2" in said(result)
    assert trained == []


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([0, 0, 0, 0], "Nothing was learnt"),
        ([60, 70, 80, 0], "Nothing was learnt"),
        ([66.7, 66.7, 85.7, 100], "Nothing is left to gain on this dev set"),
        ([60, 70, 75, 78], "would give about +5.7 points"),
        ([70, 70, 70, 70], "would hardly help: by less than 0.5 points"),
        ([80, 79, 78, 77], "would hardly help"),
    ],
)
def test_what_more_would_give(scores: list[float], said: str) -> None:
    assert said in foretell(points_of(dict(zip((25, 50, 75, 100), scores, strict=True))))


def test_documents_of_a_folder_keep_what_they_carry(tmp_path: Path) -> None:
    doc = spacy.blank("en").make_doc("a  b")
    doc.user_data["id"] = 1
    DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "a.spacy")
    (found,) = read_documents(tmp_path)
    assert (found.text, found.user_data["id"]) == ("a  b", 1)


def points_of(scores: dict[int, float]) -> list[DataPoint]:
    return [DataPoint("", 1, words, 1, 1, score, {}) for words, score in scores.items()]


@pytest.mark.parametrize("slope", [0.1, 0.3, 0.5])
def test_the_gain_is_that_of_the_power_law(slope: float) -> None:
    errors = {words: 2000 * words**-slope for words in (25_000, 50_000, 75_000, 100_000)}
    points = points_of({words: 100 - error for words, error in errors.items()})
    assert expected_gain(points) == pytest.approx(errors[100_000] * (1 - 2**-slope))


def test_a_curve_that_falls_gains_nothing_and_a_perfect_one_hardly_anything() -> None:
    assert expected_gain(points_of({100: 80.0, 200: 79.0, 400: 78.0})) < 0
    assert 0 <= expected_gain(points_of({100: 99.0, 200: 100.0, 400: 100.0})) < 0.1
    assert expected_gain(points_of({100: 0.0, 200: 0.0})) == pytest.approx(0)
