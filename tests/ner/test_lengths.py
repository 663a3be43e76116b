"""Texts of over a million characters: from an export to a trained and judged pipeline."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.cli.train import train as spacy_train
from spacy.language import Language
from spacy.tokens import DocBin
from spacy.util import load_config, registry
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.ner.lengths import ANY_LENGTH, init_nlp

CALLED: list[int] = []


@registry.callbacks("test_lengths.note.v1")
def make_note() -> Any:
    return lambda nlp: CALLED.append(nlp.max_length)


def invoke(*args: Any) -> Any:
    result = CliRunner().invoke(bert_ner_cli, list(map(str, args)))
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    # Few tokens, so that training on them is quick; the long ones are one word, of which spaCy remembers how it is cut.
    text = "Anna Berg flew to Oslo. " + ("x" * 9999 + " ") * 100
    record = {"text": text, "spans": [{"start": 0, "end": 9, "label": "PER"}]}
    (folder / "book.jsonl").write_text(json.dumps(record) + "\n", encoding="utf8")
    invoke("convert", folder / "book.jsonl", folder / "book.spacy")
    return folder


def test_convert(book: Path) -> None:
    (doc,) = DocBin().from_disk(book / "book.spacy").get_docs(spacy.blank("en").vocab)
    assert len(doc.text) > 10**6
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Anna Berg", "PER")]


def test_every_command_reads_it(book: Path, tiny_bert: Path, tmp_path: Path) -> None:
    config, corpus = tmp_path / "my.cfg", book / "book.spacy"
    invoke("init-config", config, "--encoder", tiny_bert, "--train", corpus, "--dev", corpus, "--epochs", 1)
    invoke("debug", config, "--no-timing")
    for before_init in ({"@callbacks": ANY_LENGTH, "then": None}, None):
        changed = load_config(config, interpolate=False)
        changed["initialize"]["before_init"] = before_init
        changed.to_disk(config)
        output = tmp_path / f"out-{before_init is None}"
        invoke("train", config, "--output", output, "--training.max_steps", 1, "--training.eval_frequency", 1)
        assert load_config(output / "model-last" / "config.cfg")["initialize"]["before_init"] == before_init
    invoke("evaluate", output / "model-last", corpus, "--resamples", 100)


def test_spacy_train_reads_it_by_the_release_config(book: Path, tiny_bert: Path, tmp_path: Path) -> None:
    config, corpus = tmp_path / "my.cfg", book / "book.spacy"
    invoke("init-config", config, "--encoder", tiny_bert, "--train", corpus, "--dev", corpus, "--epochs", 1)
    spacy_train(config, tmp_path / "out", overrides={"training.max_steps": 1, "training.eval_frequency": 1})
    assert spacy.load(tmp_path / "out" / "model-last").max_length == 10**6


def test_a_configs_own_callback_is_called_too(tiny_bert: Path, tmp_path: Path, book: Path) -> None:
    config = tmp_path / "my.cfg"
    invoke("init-config", config, "--encoder", tiny_bert, "--train", book / "book.spacy", "--dev", book / "book.spacy")
    changed = load_config(config, interpolate=False)
    changed["initialize"]["before_init"] = {"@callbacks": "test_lengths.note.v1"}
    nlp: Language = init_nlp(changed)
    # The first time spaCy's limit stands, and the text is too long.
    assert CALLED[-1] == sys.maxsize
    assert nlp.config["initialize"]["before_init"] == {"@callbacks": "test_lengths.note.v1"}
