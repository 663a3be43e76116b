"""`init-config`: the config that it writes trains, for users without this repository."""

from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.cli.debug_config import debug_config
from spacy.cli.train import train
from spacy.util import load_config
from thinc.api import Config
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.training.recipes import BASE, SMALL

SAMPLE = Path(__file__).parents[2] / "corpus" / "sample"


def invoke(*args: Any) -> int:
    return CliRunner().invoke(bert_ner_cli, list(map(str, args))).exit_code


def test_from_column_files_to_a_trained_pipeline(tmp_path: Path, tiny_bert: Path) -> None:
    assert invoke("convert", SAMPLE, tmp_path) == 0
    path, paths = tmp_path / "my.cfg", ["--train", tmp_path / "train.spacy", "--dev", tmp_path / "dev.spacy"]
    assert invoke("init-config", path, "--encoder", tiny_bert, *paths, "--epochs", 2) == 0
    config = load_config(path, interpolate=False)
    steps = config["training"]["max_steps"]
    assert steps == config["training"]["optimizer"]["learn_rate"]["total_steps"]
    assert steps % config["training"]["eval_frequency"] == 0
    assert config["training"]["optimizer"]["learn_rate"]["initial_rate"] == SMALL.learn_rate
    assert config["training"]["optimizer"]["head_factor"] == SMALL.head_factor
    assert '# "auto" is bf16' in path.read_text(encoding="utf8")
    debug_config(path)
    assert invoke("debug", path, "--no-timing") == 0
    train(path, tmp_path / "out", overrides={"training.max_steps": 1, "training.eval_frequency": 1})
    trained = spacy.load(tmp_path / "out" / "model-last")
    component: Any = trained.get_pipe("bert_ner")
    assert component.labels
    assert {"ents_f", "raw_ents_f"} <= set(trained.meta["performance"])
    assert invoke("init-config", path, "--encoder", tiny_bert) == 1
    assert invoke("init-config", path, "--encoder", tiny_bert, "--gpu", "--force", "--lang", "de") == 0
    config = load_config(path)
    assert (config["nlp"]["lang"], config["system"]["gpu_allocator"]) == ("de", "pytorch")


def test_a_dash_writes_the_config_and_nothing_else_to_standard_output(
    tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(bert_ner_cli, ["init-config", "-", "--encoder", str(tiny_bert)])
    assert result.exit_code == 0
    assert Config().from_str(result.stdout)["paths"]["encoder"] == str(tiny_bert)
    assert "There is no corpus/train.spacy" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_others_can_share(tmp_path: Path, tiny_bert: Path) -> None:
    assert invoke("convert", SAMPLE, tmp_path) == 0
    path, paths = tmp_path / "my.cfg", ["--train", tmp_path / "train.spacy", "--dev", tmp_path / "dev.spacy"]
    assert invoke("init-config", path, "--encoder", tiny_bert, *paths, "--share", "--gpu") == 0
    config = load_config(path, interpolate=False)
    assert config["nlp"]["pipeline"] == ["tok2vec", "bert_ner"]
    assert config["components"]["tok2vec"]["model"]["width"] == 32
    assert config["components"]["tok2vec"]["model"]["encoder"]["max_batch_pieces"] == 16384
    assert config["components"]["bert_ner"]["model"]["tok2vec"]["width"] == "${components.tok2vec.model.width}"
    assert '# "auto" is bf16' in path.read_text(encoding="utf8")
    debug_config(path)
    assert invoke("debug", path, "--no-timing") == 0
    train(path, tmp_path / "out", overrides={"training.max_steps": 1, "training.eval_frequency": 1})
    assert spacy.load(tmp_path / "out" / "model-last").pipe_names == ["tok2vec", "bert_ner"]
    assert invoke("init-config", path, "--source", tmp_path / "out" / "model-last", "--share", "--force") == 1
    assert invoke("init-config", path, "--encoder", tmp_path / "nowhere", "--share", "--force") == 1


def test_bad_arguments_write_nothing(tmp_path: Path) -> None:
    assert invoke("init-config", tmp_path / "my.cfg", "--encoder", "x", "--lang", "klingon") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_whose_size_is_not_known_is_taken_for_a_base_size_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> int:
        raise OSError("the Hub cannot be reached")

    monkeypatch.setattr("spacy_bert_ner.training.recipes.encoder_width", fail)
    result = CliRunner().invoke(bert_ner_cli, ["init-config", str(tmp_path / "my.cfg"), "--encoder", "org/name"])
    assert result.exit_code == 0
    assert "The size of org/name is not known" in result.stderr
    assert "the Hub cannot be reached" in result.stderr
    rates = load_config(tmp_path / "my.cfg", interpolate=False)["training"]["optimizer"]
    assert (rates["learn_rate"]["initial_rate"], rates["head_factor"]) == (BASE.learn_rate, BASE.head_factor)


def test_what_is_no_encoder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    spacy.blank("en").to_disk(tmp_path / "pipeline")
    for encoder, said in (
        ("pipeline", "is a spaCy pipeline, expected a pretrained encoder"),
        ("empty", "holds no config.json"),
        ("nowhere", "There is no folder"),
    ):
        args = ["init-config", str(tmp_path / "my.cfg"), "--encoder", str(tmp_path / encoder)]
        result = CliRunner().invoke(bert_ner_cli, args)
        assert (result.exit_code, said in " ".join(result.output.split())) == (1, True), result.output
