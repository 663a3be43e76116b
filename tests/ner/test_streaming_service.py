"""A trained pipeline in service: processes, threads, memory zones, disks, and spaCy's own commands."""

import gc
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from spacy.cli._util import app
from spacy.language import Language
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_bert_ner.encoder.model import get_shim
from tests.scenarios import TEXTS, encoder_config, entities, examples_of, expected_entities, make_pipeline, train

PROCESSES = """
import multiprocessing, sys

import spacy, torch
from spacy.language import Language


@Language.component("needs_threads")
def needs_threads(doc):
    # Large enough to be shared out among threads.
    torch.ones(600, 600) @ torch.ones(600, 600)
    doc.user_data["threads"] = torch.get_num_threads()
    return doc


if __name__ == "__main__":
    torch.set_num_threads(2)
    nlp = spacy.load(sys.argv[1])
    nlp.add_pipe("needs_threads")
    texts = ["Jane met IBM", "IBM works near Paris", "", "the unlucky Londoners"] * 3
    alone = list(nlp.pipe(texts))
    for method in ("fork", "spawn"):
        multiprocessing.set_start_method(method, force=True)
        docs = list(nlp.pipe(texts, n_process=2, batch_size=2))
        assert [doc.text for doc in docs] == texts
        for doc, other in zip(docs, alone):
            assert [(e.text, e.label_) for e in doc.ents] == [(e.text, e.label_) for e in other.ents]
            scores, others = doc.spans["bert_ner"].attrs["scores"], other.spans["bert_ner"].attrs["scores"]
            assert abs(scores - others).max(initial=0) < 1e-5
            assert all(abs(a._.confidence - b._.confidence) < 1e-5 for a, b in zip(doc.ents, other.ents))
        assert {doc.user_data["threads"] for doc in docs} == {1}, "workers compute in one thread each"
        print(f"entities by {method}:", sum(len(doc.ents) for doc in docs))
"""


@pytest.fixture(scope="module")
def folder(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained pipeline on disk."""
    nlp = make_pipeline(tiny_bert)
    train(nlp)
    path = tmp_path_factory.mktemp("served") / "model"
    nlp.to_disk(path)
    return path


@pytest.fixture(scope="module")
def nlp(folder: Path) -> Language:
    return spacy.load(folder)


@pytest.fixture
def gold(nlp: Language, tmp_path: Path) -> Path:
    path = tmp_path / "gold.spacy"
    DocBin(docs=[eg.reference for eg in examples_of(nlp)] * 4, store_user_data=True).to_disk(path)
    return path


def found(nlp: Language) -> list[list[tuple[str, str]]]:
    return [entities(doc) for doc in nlp.pipe(TEXTS)]


def run(*arguments: object) -> str:
    """Run `python -m spacy ...` in this process. RETURNS: What it printed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


# --- processes and memory --------------------------------------------------------------------------------------------


def test_several_processes(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "serve.py"
    script.write_text(PROCESSES, encoding="utf8")
    # A deadlock would be a timeout.
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        # Where it is 1 already there is nothing to see.
        env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "entities by fork: 12\nentities by spawn: 12\n"


def test_a_memory_zone(folder: Path) -> None:
    nlp = spacy.load(folder)
    for i in range(3):
        with nlp.memory_zone():
            docs = list(nlp.pipe([*TEXTS, f"Jane met unheard{i} in zone{i}"]))
            assert [entities(doc) for doc in docs[:3]] == expected_entities()
            assert all(span._.confidence for doc in docs for span in doc.ents)
    assert "unheard0" not in nlp.vocab.strings
    assert found(nlp) == expected_entities()


def test_nothing_of_the_encoder_stays_on_a_document(nlp: Language) -> None:
    for doc in nlp.pipe(TEXTS):
        assert doc.tensor.size == 0
        assert not doc.user_data


@pytest.mark.parametrize("how", ["disk", "bytes", "pickle"])
def test_round_trips(nlp: Language, how: str, tmp_path: Path) -> None:
    if how == "disk":
        nlp.to_disk(tmp_path)
        copied = spacy.load(tmp_path)
    elif how == "bytes":
        copied = spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())
    else:
        copied = pickle.loads(pickle.dumps(nlp))
    for doc, other in zip(nlp.pipe(TEXTS), copied.pipe(TEXTS), strict=True):
        assert entities(doc) == entities(other)
        np.testing.assert_array_equal(doc.spans["bert_ner"].attrs["scores"], other.spans["bert_ner"].attrs["scores"])


def test_weights_go_to_the_device_that_spacy_uses_when_they_are_loaded(
    nlp: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {param.device.type for param in encoder_of(nlp.get_pipe("bert_ner")).parameters()} == {"cpu"}
    # What is saved names no device. torch's "meta" stands in for a GPU: weights can go there, not come back.
    saved = nlp.get_pipe("bert_ner").to_bytes()  # type: ignore[attr-defined]
    monkeypatch.setattr("spacy_bert_ner.encoder.shim.get_torch_default_device", lambda: torch.device("meta"))
    there = spacy.blank("en").from_config(nlp.config).get_pipe("bert_ner").from_bytes(saved)  # type: ignore
    assert {param.device.type for param in encoder_of(there).parameters()} == {"meta"}
    assert {param.device.type for param in encoder_of(nlp.get_pipe("bert_ner")).parameters()} == {"cpu"}


def encoder_of(component: Any) -> torch.nn.Module:
    return get_shim(component.model.get_ref("tok2vec")).encoder


# --- spaCy's commands ------------------------------------------------------------------------------------------------


def test_spacy_apply(folder: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf8")
    run("apply", folder, texts, tmp_path / "out.spacy")
    docs = list(DocBin().from_disk(tmp_path / "out.spacy").get_docs(spacy.blank("en").vocab))
    assert [entities(doc) for doc in docs] == expected_entities()
    assert len(docs[0].spans["bert_ner"].attrs["scores"]) == 2


def test_spacy_benchmark_and_evaluate(folder: Path, gold: Path, tmp_path: Path) -> None:
    assert "words/s" in run("benchmark", "speed", folder, gold, "--batches", 30, "--no-shuffle", "--warmup", 1)
    run("evaluate", folder, gold, "--output", tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text(encoding="utf8"))["ents_f"] == 1.0


def test_spacy_assemble(folder: Path, tmp_path: Path) -> None:
    config = spacy.util.load_config(folder / "config.cfg")
    config["components"]["bert_ner"] = {"source": str(folder)}
    config.to_disk(tmp_path / "config.cfg")
    run("assemble", tmp_path / "config.cfg", tmp_path / "assembled")
    assert found(spacy.load(tmp_path / "assembled")) == expected_entities()


@pytest.fixture
def config_path(tiny_bert: Path, gold: Path, tmp_path: Path) -> Path:
    """A training config, as `init fill-config` leaves it."""
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config=encoder_config(tiny_bert))
    base = tmp_path / "base.cfg"
    nlp.config.to_disk(base)
    filled = tmp_path / "config.cfg"
    run("init", "fill-config", base, filled)
    config = spacy.util.load_config(filled)
    config["paths"] |= {"train": str(gold), "dev": str(gold)}
    config.to_disk(filled)
    return filled


def test_spacy_init_labels(config_path: Path, tmp_path: Path) -> None:
    run("init", "labels", config_path, tmp_path / "labels")
    labels = json.loads((tmp_path / "labels" / "bert_ner.json").read_text(encoding="utf8"))
    assert labels == ["LOC", "ORG", "PER"]
    config = spacy.util.load_config(config_path)
    config["initialize"]["components"]["bert_ner"] = {
        "labels": {"@readers": "spacy.read_labels.v1", "path": str(tmp_path / "labels" / "bert_ner.json")}
    }
    nlp = spacy.util.load_model_from_config(config)
    nlp.initialize()
    assert nlp.get_pipe("bert_ner").labels == ("LOC", "ORG", "PER")  # type: ignore[attr-defined]


def test_spacy_debug(config_path: Path) -> None:
    assert "Config is valid" in run("debug", "config", config_path)
    assert "spacy-bert-ner.Encoder.v1" in run("debug", "diff-config", config_path)
    assert "model looks good" in run("debug", "model", config_path, "bert_ner", "--print-step0")


def test_spacy_train(config_path: Path, tmp_path: Path) -> None:
    run("train", config_path, "--output", tmp_path / "out", "--training.max_steps", 4, "--training.eval_frequency", 2)
    assert spacy.load(tmp_path / "out" / "model-last").pipe_names == ["bert_ner"]


# spaCy leaves its templates' files to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_spacy_package(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    run("package", folder, tmp_path / "packages", "--name", "served", "--version", "1.2.3", "--build", "none")
    gc.collect()
    (package,) = (tmp_path / "packages").iterdir()
    assert found(spacy.load(next(package.rglob("config.cfg")).parent)) == expected_entities()
    # The component comes by its entry point: the package must bring the plugin.
    meta = json.loads((package / "meta.json").read_text(encoding="utf8"))
    assert any(requirement.startswith("spacy-bert-ner[torch]") for requirement in meta["requirements"])


def test_spacy_find_threshold(folder: Path, gold: Path) -> None:
    shown = run("find-threshold", folder, gold, "bert_ner", "threshold", "ents_f", "--n_trials", 3)
    assert "Best threshold" in shown
