"""`bert-ner train`: what it refuses, how it fails, and what Ctrl-C leaves."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc, DocBin
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.commands.overrides import unknown_settings
from spacy_bert_ner.training import running
from spacy_bert_ner.training.interruption import Interruption
from tests.scenarios import CNN
from tests.training.training_runs import contents, make_config, write_corpus

NER = {"factory": "bert_ner", "model": {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": CNN}}
OPTIMIZER = {"@optimizers": "Adam.v1", "learn_rate": 0.01}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with corpora and a config, in which the test runs."""
    write_corpus(tmp_path)
    make_config({"bert_ner": NER}, {"optimizer": OPTIMIZER}).to_disk(tmp_path / "config.cfg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(command: str, *args: Any) -> tuple[int, str]:
    result = CliRunner().invoke(bert_ner_cli, [command, "config.cfg", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def train(*args: Any) -> tuple[int, str]:
    return invoke("train", "--output", "out", *args)


@pytest.mark.parametrize(
    ("override", "nearest"),
    [
        ("--training.droput 0.2", "--training.dropout"),
        ("--training.droput=0.2", "--training.dropout"),
        ("--trainng.dropout 0.2", "--training.dropout"),
        ("--training.optimizer.lern_rate 0.2", "--training.optimizer.learn_rate"),
        ("--components.bert_ner.treshold 0.2", "--components.bert_ner.threshold"),
        ("--components.bertner.threshold 0.2", "--components.bert_ner.threshold"),
        ("--components.bert_ner.model.peaces mean", "--components.bert_ner.model.pieces"),
        ("--corpora.train.max_lenght 5", "--corpora.train.max_length"),
        ("--paths.trian x", "--paths.train"),
        ("--nlp.batch_sise 5", "--nlp.batch_size"),
        ("--verbos", "--verbose"),
    ],
)
@pytest.mark.parametrize("command", ["train", "debug"])
def test_a_misspelt_setting_is_refused_with_the_nearest(
    folder: Path, command: str, override: str, nearest: str
) -> None:
    args = ["--output", "out"] if command == "train" else []
    code, printed = invoke(command, *args, *override.split())
    assert code == 1
    assert "no such setting" in printed or "No such option" in printed
    if command == "train" or nearest != "--verbose":
        assert f"Did you mean {nearest}?" in printed
    assert not (folder / "out").exists()


def test_what_a_config_has_or_could_have_is_no_misspelling(folder: Path) -> None:
    with (folder / "config.cfg").open("a", encoding="utf8") as file:
        file.write(
            "\n[initialize]\n\n[initialize.components]\n\n[initialize.components.bert_ner]\nlabels = ${user.labels}\n"
        )
    known = {
        "training.dropout": 0.1,
        "training.annotating_components": [],
        "training.optimizer.grad_clip": 1.0,
        "training.batcher.get_length": None,
        "training.score_weights.ents_per_type": None,
        "components.bert_ner.threshold": 0.5,
        "components.bert_ner.model.pieces": "mean",
        "components.bert_ner.model.tok2vec.width": 8,
        "corpora.train.gold_preproc": False,
        "initialize.components.bert_ner.labels": ["PER"],
        "paths.train": "x",
        "system.seed": 1,
        "user.labels": ["PER"],
    }
    assert unknown_settings(folder / "config.cfg", known) == {}
    assert list(unknown_settings(folder / "config.cfg", {"user.lables": []})) == ["user.lables"]


def test_what_a_function_takes_by_any_name_is_free(folder: Path) -> None:
    @spacy.registry.misc("tests.anything.v1")
    def anything(**settings: Any) -> dict[str, Any]:
        return settings

    with (folder / "config.cfg").open("a", encoding="utf8") as file:
        file.write('\n[user]\n\n[user.one]\n@misc = "tests.anything.v1"\n\n[user.other]\n@misc = "tests.unknown.v1"\n')
    assert unknown_settings(folder / "config.cfg", {"user.one.x": 1, "user.other.x": 1}) == {}


def test_what_is_sourced_has_its_settings_from_there(tmp_path: Path) -> None:
    make_config({"bert_ner": {"source": "trained"}}, {}).to_disk(tmp_path / "config.cfg")
    overrides = {"components.bert_ner.source": "x", "components.bert_ner.replace_listeners": []}
    assert unknown_settings(tmp_path / "config.cfg", overrides) == {}
    assert list(unknown_settings(tmp_path / "config.cfg", {"components.bert_ner.threshold": 1})) == [
        "components.bert_ner.threshold"
    ]


def unset(docs: list[Doc]) -> list[Doc]:
    return [Doc(doc.vocab, words=[token.text for token in doc]) for doc in docs]


@pytest.mark.parametrize(
    ("split", "make", "said"),
    [
        ("dev", unset, "no token of dev is annotated: was doc.ents set before it was saved?"),
        ("dev", lambda docs: [], "dev holds no tokens"),
        ("dev", lambda docs: [Doc(doc.vocab) for doc in docs], "dev holds no tokens"),
        ("train", unset, "found no entity type"),
    ],
    ids=["dev unset", "dev without documents", "dev of empty documents", "train unset"],
)
@pytest.mark.parametrize("command", ["train", "debug"])
def test_unannotated_corpora_stop_it_as_debug_says(
    folder: Path, command: str, split: str, make: Callable[[list[Doc]], list[Doc]], said: str
) -> None:
    docs = list(DocBin().from_disk(folder / f"{split}.spacy").get_docs(spacy.blank("en").vocab))
    DocBin(docs=make(docs)).to_disk(folder / f"{split}.spacy")
    code, printed = invoke(command, *(["--output", "out"] if command == "train" else []))
    assert (code, said in printed) == (1, True), printed
    assert not (folder / "out" / "model-last").exists()


def test_a_dev_set_without_entities_is_one(folder: Path) -> None:
    doc = Doc(spacy.blank("en").vocab, words=["Nobody"])
    doc.set_ents([])
    DocBin(docs=[doc]).to_disk(folder / "dev.spacy")
    code, said = train("--training.max_steps", 1)
    assert (code, "dev holds no entities" in said) == (0, True), said


def test_a_dev_set_with_entities_is_not_warned_of(folder: Path) -> None:
    code, said = train("--training.max_steps", 1)
    assert (code, "dev holds no entities" in said) == (0, False), said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--corpora.train.path", "nowhere.spacy"], "nowhere.spacy"),
        (["--training.train_corpus", "corpora.nothing"], "corpora.nothing"),
        (["--corpora.dev.path", "torn.spacy"], "torn.spacy cannot be read"),
        (["--initialize.components.bert_ner.labels", '["PER"]'], "ORG"),
    ],
)
def test_errors_come_without_a_traceback(folder: Path, args: list[str], said: str) -> None:
    (folder / "torn.spacy").write_bytes(b"half of it")
    with (folder / "config.cfg").open("a", encoding="utf8") as file:
        file.write("\n[initialize]\n\n[initialize.components]\n\n[initialize.components.bert_ner]\nlabels = null\n")
    code, printed = train(*args)
    assert (code, said in printed) == (1, True), printed
    assert "Traceback" not in printed


def test_verbose_shows_the_traceback(folder: Path) -> None:
    args = ["train", "config.cfg", "--output", "out", "--corpora.train.path", "nowhere.spacy"]
    assert isinstance(CliRunner().invoke(bert_ner_cli, args).exception, SystemExit)
    verbose = CliRunner().invoke(bert_ner_cli, [*args, "--verbose"])
    assert isinstance(verbose.exception, Exception)


def test_a_missing_config_is_named(folder: Path) -> None:
    result = CliRunner().invoke(bert_ner_cli, ["train", "nowhere.cfg", "--output", "out"])
    assert result.exit_code == 2
    assert "nowhere.cfg" in result.output


def test_ctrl_c_finishes_the_step_and_the_same_command_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, printed = train()
    assert code == 0
    uninterrupted = contents()
    after_step = running.CheckpointWriter.after_step

    def interrupt(keeper: running.CheckpointWriter) -> None:
        if keeper.run.progress.step == 1:
            signal.raise_signal(signal.SIGINT)
        after_step(keeper)

    with monkeypatch.context() as patch:
        patch.setattr(running.CheckpointWriter, "after_step", interrupt)
        code, printed = train("--fresh")
    assert code == 130
    assert "The checkpoint after step 1 stands: the same command goes on from there." in printed
    assert (folder / "out" / "model-last").is_dir()
    code, printed = train()
    assert (code, "Resuming at step 2" in printed) == (0, True)
    for name in ("model-last/bert_ner/model", "model-best/bert_ner/model"):
        assert contents()[name] == uninterrupted[name]


def test_ctrl_c_before_the_first_step_and_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(run: Any, step: int, batch: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("spacy_bert_ner.training.loop.Run._update", twice)
    code, printed = train()
    assert (code, "There is no checkpoint yet: the same command begins anew." in printed) == (130, True)
    assert not (folder / "out" / "model-last").exists()


def test_signals_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    interruption = Interruption()
    with interruption.awaited():
        signal.raise_signal(signal.SIGINT)
    assert interruption.requested
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow
def test_ctrl_c_in_a_process_of_its_own(folder: Path) -> None:
    steps = ["--training.max_steps", "100000", "--training.eval_frequency", "100000", "--training.max_epochs", "0"]
    command = [sys.executable, "-m", "spacy", "bert-ner", "train", "config.cfg", "--output", "out", *steps]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    while not list(folder.glob("out/checkpoints/step-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from there" in " ".join(printed.split())
    assert "Traceback" not in printed
    newest = max(folder.glob("out/checkpoints/step-*"))
    assert json.loads((newest / "state.json").read_text(encoding="utf8"))["progress"]["step"] > 0
    assert "\x1b" not in printed
