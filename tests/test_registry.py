"""The public API: every name that setup.cfg announces is there, and importing the package costs nothing."""

import configparser
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from spacy.util import registry
from thinc.api import registry as thinc_registry

import spacy_bert_ner

PROJECT = Path(__file__).parents[1]


def entry_points() -> list[tuple[str, str]]:
    config = configparser.ConfigParser(delimiters=("=",))
    config.optionxform = str  # type: ignore[assignment]
    config.read(PROJECT / "setup.cfg", encoding="utf8")
    section = config["options.entry_points"]
    return [
        (group, line.partition("=")[0].strip())
        for group, lines in section.items()
        for line in lines.split("\n")
        if line
    ]


@pytest.mark.parametrize(("group", "name"), entry_points())
def test_every_entry_point_resolves(group, name):
    (installed,) = metadata.entry_points(group=group, name=name)
    assert callable(installed.load())
    package, _, table = group.partition("_")
    if table not in ("factories", "cli"):
        assert callable(getattr({"spacy": registry, "thinc": thinc_registry}[package], table).get(name))


def test_registered_names_carry_a_version():
    versioned = [name for group, name in entry_points() if group not in ("spacy_factories", "spacy_cli")]
    assert versioned
    assert [name for name in versioned if ".v" not in name] == []


def test_versions_agree():
    assert metadata.version("spacy-bert-ner") == spacy_bert_ner.__version__
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf8")
    assert f"\n## {spacy_bert_ner.__version__}" in changelog


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, spacy_bert_ner; print(sorted({'torch', 'spacy', 'transformers', 'numpy'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert run.stdout.strip() == "[]"
