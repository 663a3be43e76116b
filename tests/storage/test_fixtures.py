"""Pipelines that earlier versions saved give what they gave then."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import spacy
from spacy.language import Language

ROOT = Path(__file__).parents[2]
VERSIONS = sorted((ROOT / "tests" / "fixtures").glob("v*"))
# Before the encoder was the component's own: loaded through the bridge, or upgraded (test_upgrade.py).
OF_THREE_COMPONENTS = "v0.1.0"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_fixture", ROOT / "scripts" / "make_fixture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(nlp: Language, folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text(encoding="utf8"))
    assert sum(len(row["entities"]) for row in expected) >= 10
    for row, doc in zip(expected, nlp.pipe(row["text"] for row in expected), strict=True):
        found = [(ent.start_char, ent.end_char, ent.label_, ent._.confidence) for ent in doc.ents]
        assert [entity[:3] for entity in found] == [tuple(entity[:3]) for entity in row["entities"]]
        assert [entity[3] for entity in found] == pytest.approx([entity[3] for entity in row["entities"]], abs=1e-4)


def test_this_version_has_one() -> None:
    assert ROOT / "tests" / "fixtures" / f"v{load_script().__version__}" in VERSIONS


@pytest.mark.parametrize(
    "folder", [folder for folder in VERSIONS if folder.name != OF_THREE_COMPONENTS], ids=lambda folder: folder.name
)
def test_saved_by_an_earlier_version(folder: Path, tmp_path: Path) -> None:
    nlp = spacy.load(folder / "model")
    check(nlp, folder)
    nlp.to_disk(tmp_path)
    check(spacy.load(tmp_path), folder)


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_fixtures_are_small_and_know_no_machine(folder: Path) -> None:
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 1_000_000
    config = spacy.util.load_config(folder / "model" / "config.cfg")
    components = config["components"]
    old = folder.name == OF_THREE_COMPONENTS
    encoder = components["transformer"]["model"] if old else components["bert_ner"]["model"]["tok2vec"]
    assert encoder["name"] == "encoder"


def test_the_script_makes_one(tmp_path: Path) -> None:
    folder = load_script().make_fixture(tmp_path)
    check(spacy.load(folder / "model"), folder)
