"""An exported pipeline where torch, transformers and onnx are not: spaCy runs it, and so do clients without spaCy."""

import configparser
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spacy.language import Language

from tests.exported.pipelines import TEXTS, export, make_random
from tests.import_graph import ROOT, reach

# Imports as in an environment where these are not installed; thinc imports torch wherever it is.
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""
LOAD = """
import json, spacy
nlp = spacy.load(sys.argv[1])
docs = list(nlp.pipe(json.load(sys.stdin)))
ents = [[(ent.start, ent.end, ent.label_, ent._.confidence) for ent in doc.ents] for doc in docs]
print(json.dumps([ents, sorted(sys.modules)]))
"""
SETTINGS: dict[str, dict[str, Any]] = {
    "bert": {"document_memory": True},
    "mpnet": {"document_memory": True, "pieces": "mean", "scheme": "BILUO"},
    "roberta": {},
}


def entities_of(nlp: Language) -> list[list[list[Any]]]:
    docs = nlp.pipe(TEXTS)
    return [[[ent.start, ent.end, ent.label_, ent._.confidence] for ent in doc.ents] for doc in docs]


def assert_same(found: Any, expected: Any, tolerance: float) -> None:
    assert [[ent[:3] for ent in doc] for doc in found] == [[ent[:3] for ent in doc] for doc in expected]
    scores = [[ent[3] for doc in docs for ent in doc] for docs in (found, expected)]
    assert len(scores[0]) > 2
    assert scores[0] == pytest.approx(scores[1], abs=tolerance)


def test_spacy_runs_it(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_random(tiny_bert, document_memory=True)
    export(nlp, tmp_path)
    absent = ("torch", "transformers", "onnx", "spacy_transformers", "safetensors")
    command = [sys.executable, "-c", WITHOUT.format(absent=absent) + LOAD, str(tmp_path / "exported")]
    run = subprocess.run(command, input=json.dumps(TEXTS), capture_output=True, text=True, check=True, cwd=ROOT)
    found, modules = json.loads(run.stdout)
    assert set(absent) & set(modules) == set()
    assert_same(found, entities_of(nlp), 1e-3)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_client_without_spacy_finds_the_same(name: str, tiny_encoder: Callable[[str], Path], tmp_path: Path) -> None:
    nlp = make_random(tiny_encoder(name), **SETTINGS[name])
    exported = export(nlp, tmp_path)
    words = [[token.text for token in nlp.make_doc(text)] for text in TEXTS]
    absent = ("torch", "transformers", "onnx", "spacy", "thinc", "spacy_bert_ner")
    client = (Path(__file__).parent / "onnx_client.py").read_text(encoding="utf8")
    command = [sys.executable, "-c", WITHOUT.format(absent=absent) + client, str(tmp_path / "exported" / "bert_ner")]
    run = subprocess.run(command, input=json.dumps(words), capture_output=True, text=True, check=True, cwd=tmp_path)
    assert_same(json.loads(run.stdout), entities_of(exported), 1e-5)


def test_nothing_that_runs_it_imports_torch() -> None:
    seen, outside = reach("exported.onnx_classifier")
    assert "spacy_bert_ner.encoder.layout" in seen
    assert outside & {"torch", "transformers", "onnx", "onnxruntime", "safetensors"} == set()


def test_the_plain_installation_requires_no_torch() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf8")
    assert "torch" not in config["options"]["install_requires"]
    assert "torch" not in config["options.extras_require"]["onnx"]


def test_where_onnx_runtime_is_not(tiny_bert: Path, tmp_path: Path) -> None:
    export(make_random(tiny_bert), tmp_path)
    command = [sys.executable, "-c", WITHOUT.format(absent=("onnxruntime",)) + LOAD, str(tmp_path / "exported")]
    run = subprocess.run(command, input=json.dumps(TEXTS), capture_output=True, text=True, check=False, cwd=ROOT)
    assert 'pip install "spacy-bert-ner[onnx]"' in run.stderr
