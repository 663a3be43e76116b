"""What is exported equals what was trained, for every kind of transformer and every setting."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import spacy

from spacy_bert_ner.exporting import pipeline_export
from spacy_bert_ner.exporting.pipeline_export import export_pipeline
from tests.exported.pipelines import TEXTS, component_of, confidences, export, found, logits_of, make_random
from tests.scenarios import make_pipeline

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", {}),
    "bert-cased": ("bert-cased", {}),
    "distilbert": ("distilbert", {}),
    "electra": ("electra", {}),
    "mpnet": ("mpnet", {}),
    "roberta": ("roberta", {}),
    "xlm-roberta": ("xlm-roberta", {}),
    "without case features": ("bert", {"case_features": False}),
    "relu": ("bert", {"transformer_config": {"hidden_act": "relu"}}),
    "silu": ("bert", {"transformer_config": {"hidden_act": "silu"}}),
    "gelu by tanh": ("bert", {"transformer_config": {"hidden_act": "gelu_new"}}),
    "memory": ("bert", {"document_memory": True}),
    "memory of means": ("bert", {"document_memory": True, "pieces": "mean"}),
    "memory of all": ("mpnet", {"document_memory": True, "pieces": "all"}),
    "means": ("roberta", {"pieces": "mean"}),
    "BILUO": ("bert", {"scheme": "BILUO"}),
    "small batches": ("bert", {"max_batch_pieces": 8, "document_memory": True}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_padded_twin_equals_the_packed_network(
    case: str, tiny_encoder: Callable[[str], Path], tmp_path: Path
) -> None:
    name, settings = CASES[case]
    nlp = make_random(tiny_encoder(name), **settings)
    exported = export(nlp, tmp_path)
    docs = list(map(nlp.make_doc, TEXTS))
    expected = logits_of(nlp, docs)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(logits_of(exported, docs), expected, atol=2e-4)
    before, after = list(nlp.pipe(TEXTS)), list(exported.pipe(TEXTS))
    assert found(after) == found(before)
    assert sum(map(len, found(before))) > 2
    np.testing.assert_allclose(confidences(after), confidences(before), atol=1e-3)


def test_camembert_is_a_roberta_by_another_name(tiny_encoder: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_encoder("roberta"), tmp_path / "camembert")
    config = (folder / "config.json").read_text(encoding="utf8")
    (folder / "config.json").write_text(config.replace('"roberta"', '"camembert"'), encoding="utf8")
    nlp = make_random(folder)
    docs = list(map(nlp.make_doc, TEXTS))
    np.testing.assert_allclose(logits_of(export(nlp, tmp_path), docs), logits_of(nlp, docs), atol=2e-4)


def test_graphs_are_of_standard_operators(tiny_bert: Path, tmp_path: Path) -> None:
    export(make_random(tiny_bert, document_memory=True), tmp_path)
    for name in ("encoder.onnx", "head.onnx"):
        path = tmp_path / "exported" / "bert_ner" / name
        onnx.checker.check_model(str(path), full_check=True)
        assert {node.domain for node in onnx.load(path, load_external_data=False).graph.node} == {""}


def test_the_same_pipeline_gives_the_same_files(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_random(tiny_bert, document_memory=True)
    for folder in ("a", "b"):
        export(nlp, tmp_path / folder)
    for path in (tmp_path / "a" / "exported" / "bert_ner").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "exported" / "bert_ner" / path.name).read_bytes()


def test_other_kinds_are_refused(tiny_encoder: Callable[[str], Path], tmp_path: Path) -> None:
    make_random(tiny_encoder("deberta-v2")).to_disk(tmp_path)
    with pytest.raises(ValueError, match=r"'deberta-v2', which spacy-bert-ner's own network does not have.*camembert"):
        export_pipeline(tmp_path)


def test_a_shared_encoder_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    make_pipeline(tiny_bert, ("tagger", "bert_ner")).to_disk(tmp_path)
    with pytest.raises(ValueError, match="Component 'tok2vec' computes by torch itself"):
        export_pipeline(tmp_path)


def test_a_pipeline_without_one_is_refused(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path)
    with pytest.raises(ValueError, match="holds no bert_ner, but sentencizer"):
        export_pipeline(tmp_path)


def test_what_is_exported_already_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    export(make_random(tiny_bert), tmp_path)
    with pytest.raises(ValueError, match="'bert_ner' is exported already"):
        export_pipeline(tmp_path / "exported")


def test_graphs_that_differ_are_not_handed_out(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_random(tiny_bert).to_disk(tmp_path)
    monkeypatch.setattr(pipeline_export, "largest_difference", lambda *args: float("nan"))
    with pytest.raises(ValueError, match="The graphs of bert_ner give other logits than torch, by nan"):
        export_pipeline(tmp_path)


def test_other_components_and_the_state_come_along(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_random(tiny_bert)
    nlp.add_pipe("sentencizer", first=True)
    nlp.meta["name"] = "mine"
    exported = export(nlp, tmp_path)
    assert exported.pipe_names == ["sentencizer", "bert_ner"]
    assert component_of(exported).cfg == component_of(nlp).cfg
    assert exported.meta["name"] == "mine"
    assert [each.partition("]")[0] for each in exported.meta["requirements"]] == ["spacy-bert-ner[onnx"]
    assert found(exported.pipe(TEXTS)) == found(nlp.pipe(TEXTS))
