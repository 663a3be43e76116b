"""`quantize`: a trained pipeline in int8, with what that costs."""

import json
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.training import Example

from spacy_bert_ner.ner.promise import Promise
from spacy_bert_ner.quantization import procedure
from spacy_bert_ner.quantization.predictions import Predictions
from tests.commands.tiny import invoke, said, save_corpus, save_model

TEXTS = ["Jane met IBM", "IBM works near Paris", "the unlucky Londoners"]


@pytest.fixture
def case(tmp_path: Path) -> tuple[Path, Path]:
    return save_model(tmp_path), save_corpus(tmp_path / "dev.spacy")


def found(nlp: Any) -> list[list[tuple[str, str]]]:
    return [[(ent.text, ent.label_) for ent in doc.ents] for doc in nlp.pipe(TEXTS)]


def test_it_writes_a_pipeline_in_int8_and_says_what_that_costs(case: tuple[Path, Path], tmp_path: Path) -> None:
    figures, output = tmp_path / "new" / "quantization.json", tmp_path / "int8"
    result = invoke("quantize", *case, output, "--train", case[1], "--json", figures)
    assert result.exit_code == 0, result.output
    measures = json.loads(figures.read_text(encoding="utf8"))
    assert measures["annotated"]
    assert measures["f1"]["lost"] == pytest.approx(measures["f1"]["before"] - measures["f1"]["after"])
    assert set(measures["costs"]) == set(measures["shares"])
    assert {"qkv", "mix", "expand", "contract", "words"} <= set(measures["costs"])
    assert sum(measures["shares"].values()) == pytest.approx(1)
    assert all(part in result.output for part in measures["costs"])
    assert measures["method"] == min(measures["methods"], key=measures["methods"].get)
    nlp = spacy.load(output)
    assert nlp.config["components"]["bert_ner"]["model"]["tok2vec"]["precision"] == "int8"
    assert found(nlp) == found(spacy.load(case[0]))
    size = [(folder / "bert_ner" / "encoder.safetensors").stat().st_size for folder in (output, case[0])]
    assert size[0] < 0.5 * size[1]
    pipe: Any = nlp.get_pipe("bert_ner")
    assert set(pipe.cfg["offsets"]) == set(pipe.labels)
    assert found(spacy.load(output, config={"components.bert_ner.model.tok2vec.precision": "fp32"})) == found(nlp)
    example = Example.from_dict(nlp.make_doc(TEXTS[0]), {"entities": [(0, 4, "PER")]})
    with pytest.raises(ValueError, match=str(case[0])):
        nlp.update([example])
    again = invoke("quantize", output, case[1], tmp_path / "twice")
    assert (again.exit_code, "in int8 already" in said(again)) == (1, True)


def test_texts_without_annotation(case: tuple[Path, Path], tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    DocBin(docs=map(nlp.make_doc, TEXTS)).to_disk(tmp_path / "texts.spacy")
    before = json.loads((case[0] / "bert_ner" / "cfg").read_text(encoding="utf8"))
    result = invoke("quantize", case[0], tmp_path / "texts.spacy", tmp_path / "int8")
    assert result.exit_code == 0, result.output
    assert "3 documents without annotation" in said(result)
    after = json.loads((tmp_path / "int8" / "bert_ner" / "cfg").read_text(encoding="utf8"))
    assert {key: after[key] for key in before} == before
    assert found(spacy.load(tmp_path / "int8")) == found(spacy.load(case[0]))


@pytest.mark.parametrize("annotated", [False, True])
def test_a_promise_is_made_anew_where_that_is_possible(
    case: tuple[Path, Path], tmp_path: Path, annotated: bool
) -> None:
    nlp = spacy.load(case[0])
    pipe: Any = nlp.get_pipe("bert_ner")
    shares = dict.fromkeys(pipe.labels, 0.25)
    pipe.cfg["promise"] = Promise("precision", 0.25, 0.75, True, shares, shares).to_state()
    nlp.to_disk(tmp_path / "precise")
    DocBin(docs=map(nlp.make_doc, TEXTS)).to_disk(tmp_path / "texts.spacy")
    texts = case[1] if annotated else tmp_path / "texts.spacy"
    result = invoke("quantize", tmp_path / "precise", texts, tmp_path / "int8")
    assert result.exit_code == 0, result.output
    made: Any = spacy.load(tmp_path / "int8").get_pipe("bert_ner")
    assert ("The precision that was promised of the floats is no longer" in said(result)) == (not annotated)
    if annotated:
        assert (made.promise.measure, made.promise.least, made.promise.certainty) == ("precision", 0.25, 0.75)
        assert made.promise != pipe.promise
    else:
        assert made.promise is None


def test_a_loss_that_is_too_large(case: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(self: Predictions, gold: Any) -> float:
        scores.append(100 - len(scores))
        return scores[-1]

    scores: list[float] = []
    monkeypatch.setattr(Predictions, "f1", lose)
    figures = tmp_path / "figures.json"
    result = invoke("quantize", *case, tmp_path / "int8", "--json", figures)
    assert result.exit_code == 1
    assert "points of F1 are lost, more than --most-loss 0.3: nothing is written" in said(result)
    assert not (tmp_path / "int8").exists()
    assert json.loads(figures.read_text(encoding="utf8"))["f1"]["lost"] > 0.3


def test_what_stays_in_floats_by_choice(case: tuple[Path, Path], tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    options = ("--floats", "words", "--floats", "contract", "--sample", 1, "--json", figures)
    result = invoke("quantize", *case, tmp_path / "int8", *options)
    assert result.exit_code == 0, result.output
    measures = json.loads(figures.read_text(encoding="utf8"))
    assert {"words", "contract"} <= set(measures["floats"])
    assert not {"words", "contract"} & set(measures["costs"])
    assert found(spacy.load(tmp_path / "int8")) == found(spacy.load(case[0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--floats", "attention"), "--floats attention is no type of layer"),
        (("--component", "other"), "--component other is no bert_ner of"),
    ],
)
def test_refusals(case: tuple[Path, Path], tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    result = invoke("quantize", *case, tmp_path / "int8", *options)
    assert (result.exit_code, message in said(result)) == (1, True), result.output
    assert not (tmp_path / "int8").exists()


def test_documents_without_words(case: tuple[Path, Path], tmp_path: Path) -> None:
    DocBin(docs=[spacy.blank("en").make_doc("")]).to_disk(tmp_path / "empty.spacy")
    result = invoke("quantize", case[0], tmp_path / "empty.spacy", tmp_path / "int8")
    assert (result.exit_code, "no document with a word" in said(result)) == (1, True)


def test_it_does_nothing_where_it_is_not_wanted(tmp_path: Path) -> None:
    result = invoke("quantize", tmp_path / "none", tmp_path, tmp_path / "int8", "--if", "false")
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "int8").exists()


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ([99.0], "abc"),
        ([98.0, 99.0], "ac"),
        ([98.0, 98.5, 99.0], "c"),
        ([98.0, 98.7, 98.5], "ac"),
        ([97, 97, 97], "abc"),
    ],
)
def test_the_costliest_layers_go_back_until_f1_is_high_enough(scores: list[float], kept: str) -> None:
    given = iter(scores)

    class Scored(Predictions):
        def __init__(self) -> None:
            object.__setattr__(self, "score", next(given))

        def f1(self, gold: Any) -> float:
            return float(self.score)  # type: ignore[attr-defined]

    plan = procedure.QuantizationPlan("bounds", frozenset("abc"))
    costs = {"a": 2.0, "b": 3.0, "c": 1.0}
    chosen, _ = procedure.keep_within_loss(plan, costs, 98.9, set(), lambda plan: Scored(), lambda text: None)
    assert chosen.parts == frozenset(kept)
