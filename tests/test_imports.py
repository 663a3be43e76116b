"""What importing costs: a fresh process loads a trained pipeline and predicts with what it needs, and no more."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scenarios import make_pipeline, train

ROOT = Path(__file__).parents[1]
PROBE = """
import json, sys
import spacy
nlp = spacy.load(sys.argv[1])
ents = [(ent.text, ent.label_) for ent in nlp("IBM works near Paris").ents]
print(json.dumps({"ents": ents, "modules": sorted(sys.modules)}))
"""
UNWANTED = (
    "transformers",
    "spacy_transformers",
    "datasets",
    "pyarrow",
    "matplotlib",
    "torch._dynamo",
    "sklearn",
    "pandas",
)


def test_predicting_imports_no_more_than_it_needs(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_pipeline(tiny_bert, precision="bf16")
    train(nlp)
    nlp.to_disk(tmp_path)
    run = subprocess.run([sys.executable, "-c", PROBE, str(tmp_path)], capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    assert found["ents"] == [["IBM", "ORG"], ["Paris", "LOC"]]
    imported = [name for name in found["modules"] if name.startswith(tuple(f"{each}." for each in UNWANTED))]
    assert imported + [name for name in UNWANTED if name in found["modules"]] == []


@pytest.mark.parametrize("module", ["ner.component", "encoder.cleaner", "bridge"])
def test_factories_import_neither_torch_nor_transformers(module: str) -> None:
    """spaCy imports every factory at every `Language()`."""
    seen: set[str] = set()
    outside = imports_of(f"spacy_bert_ner.{module}", seen)
    assert seen
    assert not outside & {"torch", "transformers", "spacy_transformers", "safetensors", "tokenizers", "huggingface_hub"}


def imports_of(module: str, seen: set[str]) -> set[str]:
    """Follow imports at the top of our modules. RETURNS: The packages outside that they import."""
    if module in seen:
        return set()
    seen.add(module)
    path = ROOT / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    outside: set[str] = imports_of(package, seen) if package != module else set()
    for node in ast.parse(path.read_text(encoding="utf8")).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")
            parent = ".".join(base[: len(base) - node.level + 1]) if node.level else ""
            source = ".".join(part for part in (parent, node.module) if part)
            names = [source, *(f"{source}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.startswith("spacy_bert_ner"):
                if (ROOT / Path(*name.split("."))).is_dir() or (ROOT / Path(*name.split("."))).with_suffix(
                    ".py"
                ).is_file():
                    outside |= imports_of(name, seen)
            else:
                outside.add(name.split(".")[0])
    return outside
