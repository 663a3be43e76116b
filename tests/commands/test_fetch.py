"""`fetch`, and what `convert` makes of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from tests.commands.tiny import invoke, said

TINY = "-DOCSTART- O\n\nAda B-PER\nran O\n"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "columns"
    folder.mkdir()
    for name in ("eng.train", "eng.testa", "eng.testb"):
        (folder / name).write_text(TINY, encoding="utf-8")
    return folder


def test_fetch_then_convert(corpus: Path, tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    printed = [invoke("fetch", assets, "--corpus", corpus).output for _ in range(2)]
    assert printed == [
        f"{assets / 'corpus'}: {corpus}: eng.testa, eng.testb, eng.train, manifest.json\n",
        f"{assets / 'corpus'}: {corpus}: up to date\n",
    ]
    result = invoke("convert", assets / "corpus", tmp_path / "out")
    assert ["entities", "1", "1", "1"] in [line.split() for line in result.output.splitlines()]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dev.spacy", "test.spacy", "train.spacy"]
    (doc,) = DocBin().from_disk(tmp_path / "out/dev.spacy").get_docs(Vocab())
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Ada", "PER")]


def test_convert_stops_before_it_writes(corpus: Path, tmp_path: Path) -> None:
    (corpus / "eng.testb").write_text("Ada\n", encoding="utf-8")
    result = invoke("convert", corpus, tmp_path / "out")
    assert result.exit_code == 1
    assert f"{corpus / 'eng.testb'}:1: found 'Ada' and no tag in any line" in result.output
    assert not (tmp_path / "out").exists()


def test_an_encoder(tiny_bert: Path, tmp_path: Path) -> None:
    result = invoke("fetch", tmp_path / "assets", "--encoder", tiny_bert)
    assert result.exit_code == 0
    assert (tmp_path / "assets" / "encoder" / "model.safetensors").is_file()
    assert "model.safetensors" in result.output


def test_nothing_to_fetch(tmp_path: Path) -> None:
    result = invoke("fetch", tmp_path / "assets")
    assert (result.exit_code, "Expected --corpus, --encoder or both" in said(result)) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_hub_forbidden(tmp_path: Path) -> None:
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache"), "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "spacy_bert_ner", "fetch", "out", "--encoder", "bert"]
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    printed = " ".join(result.stdout.split())
    assert "Cannot fetch 'bert' from the Hugging Face Hub, and no folder" in printed
    assert "FOLDER)" in printed
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()
