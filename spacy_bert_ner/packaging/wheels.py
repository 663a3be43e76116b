"""A trained pipeline as an installable wheel, and the plugin's own wheel beside it."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spacy_bert_ner.storage.provenance import KEY, require, versions


def describe(
    meta: dict[str, Any], *, name: str, version_: str, licence: str, sources: Iterable[str], scores: dict[str, Any]
) -> dict[str, Any]:
    """Fill in a model's meta.json: what it is, where it comes from, how good it is, what it was made of.

    meta (dict[str, Any]): The meta that training wrote.
    name (str): Name of the package without its language.
    version_ (str): The package's version.
    licence (str): The licence that the training data and the encoder leave possible.
    sources (Iterable[str]): Training data and encoder.
    scores (dict[str, Any]): The measures of evaluation.evaluate on the test set.
    RETURNS (dict[str, Any]): The meta. "performance" holds test scores, those from raw text under "raw_ents_f", and the
        dev score under "dev_ents_f".
    """
    performance = {
        "ents_p": scores["precision"],
        "ents_r": scores["recall"],
        "ents_f": scores["f1"],
        "raw_ents_f": scores["raw_text"]["f1"] if scores["raw_text"] else None,
        "dev_ents_f": meta.get("performance", {}).get("ents_f"),
        "ents_per_type": {
            label: {"p": row["precision"], "r": row["recall"], "f": row["f1"]} for label, row in scores["types"].items()
        },
    }
    require(meta)
    f1 = "undefined" if scores["f1"] is None else f"{100 * scores['f1']:.2f}"
    return {
        **meta,
        "name": name,
        "version": version_,
        "description": f"Named-entity recognition ({', '.join(scores['types'])}) by a fine-tuned transformer and "
        f"spacy-bert-ner. F1 on its test set: {f1}.",
        "license": licence,
        "sources": [{"name": source, "url": "", "license": "", "author": ""} for source in sources],
        "performance": performance,
        # A pipeline that was trained further by hand brings no record.
        KEY: meta.get(KEY) or {"versions": versions()},
    }


def build_model_wheel(model: Path, meta: dict[str, Any], packages: Path, wheels: Path) -> Path:
    """Build a pipeline's wheel from what `spacy package` makes.

    model (Path): Folder of the pipeline.
    meta (dict[str, Any]): Its meta, from `describe`.
    packages (Path): Folder for the package's sources.
    wheels (Path): Folder for the wheel.
    RETURNS (Path): The wheel.
    RAISES: CalledProcessError, after its output was shown, where pip fails.
    """
    from spacy.cli.package import package

    packages.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        meta_path = Path(folder) / "meta.json"
        meta_path.write_text(json.dumps(meta), encoding="utf8")
        package(model, packages, meta_path=meta_path, create_sdist=False, force=True, silent=False)
    return _build_wheel(packages / f"{meta['lang']}_{meta['name']}-{meta['version']}", wheels)


def build_plugin_wheel(project: Path, wheels: Path) -> Path:
    """Build the plugin's own wheel from its sources.

    project (Path): The project's folder, with setup.cfg.
    wheels (Path): Folder for the wheel.
    RETURNS (Path): The wheel.
    RAISES: CalledProcessError, after its output was shown, where pip fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        # A copy: setuptools leaves a build/ folder whose stale modules would enter the next wheel.
        source = Path(folder) / "source"
        source.mkdir()
        for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(project / name, source)
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(project / "spacy_bert_ner", source / "spacy_bert_ner", ignore=ignore)
        return _build_wheel(source, wheels)


def _build_wheel(source: Path, wheels: Path) -> Path:
    """Build one wheel by pip, in this environment: `python -m build`, spaCy's way, would need the network."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*command, "--wheel-dir", folder, str(source)], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        return Path(shutil.copy(wheel, wheels))
