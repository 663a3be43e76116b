"""The scripts convert and fetch, as a user calls them."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from spacy.tokens import DocBin
from spacy.vocab import Vocab

SCRIPTS = Path(__file__).parents[2] / "scripts"
TINY = "-DOCSTART- O\n\nAda B-PER\nran O\n"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "columns"
    folder.mkdir()
    for name in ("eng.train", "eng.testa", "eng.testb"):
        (folder / name).write_text(TINY, encoding="utf-8")
    return folder


def run(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: str | Path) -> None:
    monkeypatch.setattr("sys.argv", [script, *map(str, arguments)])
    runpy.run_path(str(SCRIPTS / script), run_name="__main__")


def test_fetch_then_convert(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assets = tmp_path / "assets"
    run(monkeypatch, "fetch.py", "--corpus", corpus, "--out", assets)
    run(monkeypatch, "fetch.py", "--corpus", corpus, "--out", assets)
    assert capsys.readouterr().out.splitlines() == [
        f"{assets / 'corpus'}: {corpus}: eng.testa, eng.testb, eng.train, manifest.json",
        f"{assets / 'corpus'}: {corpus}: up to date",
    ]
    run(monkeypatch, "convert.py", assets / "corpus", tmp_path / "out")
    assert ["entities", "1", "1", "1"] in [line.split() for line in capsys.readouterr().out.splitlines()]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dev.spacy", "test.spacy", "train.spacy"]
    (doc,) = DocBin().from_disk(tmp_path / "out/dev.spacy").get_docs(Vocab())
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Ada", "PER")]


def test_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, "convert.py", "sample", "out")
    assert len(list(Path("out").iterdir())) == 3


def test_convert_stops_before_it_writes(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (corpus / "eng.testb").write_text("Ada\n", encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "convert.py", corpus, tmp_path / "out")
    # A text as exit code is printed to stderr, and the exit code is 1.
    expected = "expected lines of a token and its tag, a blank line after each sentence"
    assert stop.value.code == f"{corpus / 'eng.testb'}:1: found 'Ada' and no tag in any line, {expected}"
    assert not (tmp_path / "out").exists()


def test_fetch_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "fetch.py", "--out", tmp_path)
    assert "nothing to fetch: expected --corpus, --encoder or both" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "beginning"),
    [
        (
            ["convert.py", "tomaarsen/conll2003", "out"],
            "Cannot load 'tomaarsen/conll2003' from the Hugging Face Hub, and",
        ),
        (
            ["fetch.py", "--encoder", "bert", "--out", "out"],
            "Cannot fetch 'bert' from the Hugging Face Hub, and no folder",
        ),
    ],
)
def test_hub_forbidden(arguments: list[str], beginning: str, tmp_path: Path) -> None:
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache"), "PYTHONUTF8": "1"}
    command = [sys.executable, str(SCRIPTS / arguments[0]), *arguments[1:]]
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(beginning)
    assert "FOLDER)" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()
