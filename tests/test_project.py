"""project.yml, its table in README, and the whole workflow on a tiny model."""

import json
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import srsly
from weasel.util.config import load_project_config

from tests.processes import run_module

PROJECT = Path(__file__).parents[1]
COMMANDS = srsly.read_yaml(PROJECT / "project.yml")["commands"]


def test_the_sources_of_each_step_are_as_generated():
    assert (
        subprocess.run([sys.executable, "scripts/list_sources.py", "--check"], cwd=PROJECT, check=False).returncode == 0
    )


def test_every_input_is_an_earlier_steps_output_or_in_the_repository():
    made: set[str] = set()
    for command in COMMANDS:
        for dep in command["deps"]:
            assert (
                dep in made or dep in ("${vars.config}", "${vars.model}", "${vars.texts}") or (PROJECT / dep).is_file()
            ), (
                command["name"],
                dep,
            )
        made |= set(command["outputs"])


def test_weasel_reads_every_input_by_itself():
    """Where two variables are neighbours in a list, it joins them: no such file is ever there."""
    variables = srsly.read_yaml(PROJECT / "project.yml")["vars"]
    for read, written in zip(load_project_config(PROJECT)["commands"], COMMANDS, strict=True):
        filled = [re.sub(r"\$\{vars\.(\w+)\}", lambda found: variables[found[1]], dep) for dep in written["deps"]]
        assert read["deps"] == filled, read["name"]


def test_readme_documents_the_commands_as_they_are(tmp_path):
    before = (PROJECT / "README.md").read_text(encoding="utf8")
    shutil.copy(PROJECT / "README.md", tmp_path)
    shutil.copy(PROJECT / "project.yml", tmp_path)
    run("weasel", "document", "--output", "README.md", ".", folder=tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf8") == before


def run(*command: str, folder: Path) -> str:
    """Do what `python -m COMMAND` does. RETURNS: What it printed."""
    module, *arguments = command
    code, printed = run_module(module, *arguments, folder=folder, environment={"HF_HUB_OFFLINE": "1"})
    assert code == 0, printed
    return printed


def run_step(command: list[str], capture: bool) -> None:
    """Stands in for what weasel runs a step's command by, in a copy of the process that it runs in."""
    python, option, module, *arguments = command
    assert (python, option, capture) == (sys.executable, "-m", False)
    code, printed = run_module(module, *arguments, folder=Path.cwd(), environment={})
    print(printed, flush=True)  # noqa: T201
    if code:
        sys.exit(code)


def project_run(folder: Path, step: str, encoder: Path, **variables: object) -> str:
    given = {"corpus": "corpus/sample", "encoder": encoder, "gpu_id": -1, "name": "bert_ner_tiny", **variables}
    options = [part for name, value in given.items() for part in (f"--vars.{name}", str(value))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weasel.cli.run.run_command", run_step)
        return run("spacy", "project", "run", step, ".", *options, folder=folder)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the project's own files, none of what it generates."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("configs", "spacy_bert_ner"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PROJECT / "corpus" / "sample", folder / "corpus" / "sample")
    for name in ("project.yml", "setup.cfg", "pyproject.toml", "constraints-training.txt", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, folder)
    return folder


@pytest.mark.slow
def test_the_whole_workflow_and_what_reruns(project, tiny_bert, tiny_encoder):
    first = project_run(project, "all", tiny_bert, epochs=8, learn_rate=0.003, head_factor=5, batch_words=500)
    metrics = json.loads((project / "metrics" / "test.json").read_text(encoding="utf8"))
    assert metrics["counts"]["gold"] == 249
    assert set(metrics["types"]) == {"LOC", "MISC", "ORG", "PER"}
    assert {wheel.name.split("-")[0] for wheel in (project / "packages" / "wheels").iterdir()} == {
        "en_bert_ner_tiny",
        "spacy_bert_ner",
    }
    assert "works, installed and offline" in " ".join(first.split())
    meta = json.loads(next(project.glob("packages/en_bert_ner_tiny-*/meta.json")).read_text(encoding="utf8"))
    assert meta["performance"]["ents_f"] == pytest.approx(metrics["f1"])
    made_of = meta["spacy_bert_ner"]
    assert "torch" in made_of["versions"]
    assert made_of["data_sha256"]["train"] == sha256((project / "corpus" / "train.spacy").read_bytes()).hexdigest()
    assert {"dev", "encoder"} < set(made_of["data_sha256"])
    assert any(requirement.startswith("spacy-bert-ner[torch]") for requirement in meta["requirements"])

    steps = ("convert", "train", "calibrate", "evaluate", "package", "verify")
    second = project_run(project, "all", tiny_bert, epochs=8, learn_rate=0.003, head_factor=5, batch_words=500)
    assert [step for step in steps if f"Skipping '{step}': nothing changed" not in second] == []

    # The same pipeline teaches a small one.
    (project / "texts.jsonl").write_text('{"text": "Jane Smith works in Paris."}\n' * 9, encoding="utf8")
    student = {
        "small_encoder": tiny_encoder("distilbert"),
        "texts": "texts.jsonl",
        "model": "training/small/model-final",
        "epochs": 1,
    }
    given = {"learn_rate": 0.003, "head_factor": 5, "batch_words": 500, **student}
    for step in ("fetch-small", "distill", "calibrate-small", "evaluate", "package"):
        project_run(project, step, tiny_bert, **given)
    assert '"epoch"' in (project / "training" / "small" / "curve.jsonl").read_text(encoding="utf8")
    meta = json.loads(next(project.glob("packages/en_bert_ner_tiny-*/meta.json")).read_text(encoding="utf8"))
    assert [source["name"] for source in meta["sources"]] == ["sample", tiny_encoder("distilbert").name]
    assert meta["spacy_bert_ner"]["distillation"]["weight"] == 0.7

    # A touched source reruns what depends on it: the reports' code has no part in training.
    measuring = project / "spacy_bert_ner" / "evaluation" / "console.py"
    measuring.write_text(measuring.read_text(encoding="utf8") + "\n", encoding="utf8")
    third = project_run(project, "evaluate", tiny_bert)
    assert "Skipping" not in third
    assert "Skipping 'convert'" in project_run(project, "convert", tiny_bert)
