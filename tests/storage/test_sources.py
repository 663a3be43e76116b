"""Where a pipeline is: in a folder or a package, or not there."""

from pathlib import Path

import pytest
import spacy

from spacy_bert_ner.storage.sources import pipeline_folder


def test_a_saved_pipeline_is_found(tmp_path: Path) -> None:
    spacy.blank("en").to_disk(tmp_path / "pipeline")
    assert pipeline_folder(str(tmp_path / "pipeline")) == tmp_path / "pipeline"


@pytest.mark.parametrize("name", ["nowhere", ".", "numpy", "wasabi", ""])
def test_what_is_no_pipeline_is_none(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert pipeline_folder(name) is None
