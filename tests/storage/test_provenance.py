"""Same in, same out: two runs give the same files, and a model's meta says what it was made of."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.util import load_config
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.packaging.metadata import describe_package
from spacy_bert_ner.storage.provenance import KEY, config_sha256, data_sha256
from tests.scenarios import TEXTS, make_pipeline

PROJECT = Path(__file__).parents[2]
BERT_NER = [sys.executable, "-m", "spacy", "bert-ner"]
SETTINGS = {
    "epochs": 1,
    "evaluations": 2,
    "training.batcher.size": 700,
    "training.optimizer.learn_rate.initial_rate": 0.003,
    # Where training is random, each run must draw the same.
    "training.dropout": 0.3,
    "components.bert_ner.model.tok2vec.window": 48,
    "components.bert_ner.model.tok2vec.stride": 32,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    assert CliRunner().invoke(bert_ner_cli, ["convert", str(PROJECT / "corpus" / "sample"), str(folder)]).exit_code == 0
    return folder


def train(folder: Path, corpus: Path, encoder: Path, seed: str) -> Path:
    """Train in a process of its own, in which sets and dictionaries of texts are ordered in its own way."""
    folder.mkdir()
    command = [*BERT_NER, "train", str(PROJECT / "configs" / "bert.cfg"), "--output", "training"]
    paths = {"train": corpus / "train.spacy", "dev": corpus / "dev.spacy", "encoder": encoder}
    settings = {**SETTINGS, **{f"paths.{name}": path for name, path in paths.items()}}
    command += [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "training" / "model-last"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, corpus: Path, tiny_bert: Path) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [train(folder / seed, corpus, tiny_bert, seed) for seed in ("1", "2")]


@pytest.mark.slow
def test_two_runs_give_the_same_files(runs: list[Path]) -> None:
    first, second = ({path.relative_to(run): path for path in run.rglob("*") if path.is_file()} for run in runs)
    assert first.keys() == second.keys()
    # spaCy's scorer lists the types in the order of a set, so that one file is compared by what it says.
    assert [str(name) for name in first if first[name].read_bytes() != second[name].read_bytes()] in ([], ["meta.json"])
    metas = [json.loads((run / "meta.json").read_text()) for run in runs]
    assert metas[0] == metas[1]
    entities = [[(e.text, e.label_) for doc in spacy.load(run).pipe(TEXTS) for e in doc.ents] for run in runs]
    assert entities[0] == entities[1]


@pytest.mark.slow
def test_meta_says_what_a_model_was_made_of(runs: list[Path], corpus: Path, tmp_path: Path) -> None:
    meta = json.loads((runs[0] / "meta.json").read_text())
    made_of = meta[KEY]
    assert made_of["versions"]["torch"] == version("torch")
    assert made_of["seed"] == 0
    for name in ("train", "dev"):
        assert made_of["data_sha256"][name] == sha256((corpus / f"{name}.spacy").read_bytes()).hexdigest()
    assert set(made_of["data_sha256"]) == {"train", "dev", "encoder"}
    assert made_of["config_sha256"] == config_sha256(load_config(runs[0] / "config.cfg", interpolate=False))
    assert meta["performance"]["ents_f"] is not None
    # It survives what the workflow does next: calibrating, and packaging.
    nlp = spacy.load(runs[0])
    nlp.to_disk(tmp_path / "again")
    again = json.loads((tmp_path / "again" / "meta.json").read_text())
    scores = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "types": {}, "raw_text": {"f1": 0.5}}
    described = describe_package(again, name="x", version_="1", licence="MIT", sources=[], scores=scores)
    assert described["performance"]["raw_ents_f"] == 0.5
    assert described[KEY] == made_of


def test_places_do_not_count_and_contents_do(tmp_path: Path) -> None:
    config = load_config(PROJECT / "configs" / "bert.cfg", interpolate=False)
    moved = load_config(PROJECT / "configs" / "bert.cfg", {"paths.train": "elsewhere"}, interpolate=False)
    other = load_config(PROJECT / "configs" / "bert.cfg", {"training.dropout": 0.2}, interpolate=False)
    assert config_sha256(config) == config_sha256(moved) != config_sha256(other)
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.spacy").write_bytes(b"1")
    values: Any = {"paths": {"train": str(folder), "dev": None, "encoder": "bert-base-uncased"}, "corpora": {}}
    first = data_sha256(values)
    assert set(first) == {"train"}
    (folder / "deep" / "a.spacy").write_bytes(b"2")
    assert data_sha256(values) != first
    assert data_sha256({"corpora": {"train": {"path": str(folder)}}}).keys() == {"train"}


def test_pipelines_that_were_initialized_by_hand(tiny_bert: Path) -> None:
    nlp = make_pipeline(tiny_bert)
    assert nlp.meta[KEY]["data_sha256"] == {}
    assert set(nlp.meta[KEY]) == {"versions", "config_sha256", "data_sha256", "seed"}
    scores: dict[str, Any] = {"precision": None, "recall": None, "f1": None, "types": {}, "raw_text": None}
    described = describe_package({"lang": "en"}, name="x", version_="1", licence="MIT", sources=[], scores=scores)
    assert described[KEY].keys() == {"versions"}
