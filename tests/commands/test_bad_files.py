"""What is not there, or is not what it should be, is said in a line that names it: by every command, of every file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from tests.commands.tiny import save_corpus, save_model

# How a file can be wrong, by what makes it.
WRONG: dict[str, Callable[[Path], Any]] = {
    "missing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\xff\xfe\x00garbage\n" * 20),
    "a folder": lambda path: path.mkdir(),
    "cut short": lambda path: path.write_bytes(path.with_name("dev.spacy").read_bytes()[:50]),
}
# Each command with one argument that is BAD, which is then the name of such a file.
BAD_FILES = [
    "convert BAD.conll out",
    "convert BAD.jsonl out --dev-share 0.5",
    "convert out --train BAD.conll",
    "fetch assets --corpus ./BAD",
    "fetch assets --encoder ./BAD",
    "init-config my.cfg --encoder ./BAD",
    "init-config my.cfg --source BAD",
    "init-config my.cfg --encoder ENCODER --train BAD.spacy",
    "debug BAD.cfg",
    "debug config.cfg --paths.train BAD.spacy --no-timing",
    "debug config.cfg --paths.dev BAD.spacy --no-timing",
    "debug config.cfg --paths.encoder ./BAD --no-timing",
    "train BAD.cfg --output out",
    "train config.cfg --output out --paths.train BAD.spacy",
    "train config.cfg --output out --paths.dev BAD.spacy",
    "train config.cfg --output out --paths.encoder ./BAD",
    "train config.cfg --output out --code BAD.py",
    "calibrate BAD dev.spacy final",
    "calibrate model BAD.spacy final",
    "calibrate model dev.spacy final --train BAD.spacy",
    "evaluate BAD dev.spacy",
    "evaluate model BAD.spacy",
    "evaluate model dev.spacy --train BAD.spacy",
    "evaluate model dev.spacy --compare BAD",
    "evaluate model dev.spacy --curve BAD.jsonl",
    "evaluate model dev.spacy --code BAD.py",
    "package BAD packages --name x",
    "package model packages --name x --metrics BAD.json",
    "package model packages --name x --assets BAD",
    "verify BAD model",
    "verify wheels BAD",
    "verify wheels model --corpus BAD.spacy",
    "upgrade BAD new",
    "annotate BAD texts.txt out",
    "annotate model BAD.jsonl out",
    "serve BAD",
]
# What is none of these: a file that init-config can do without, and one in which nothing is wrong.
NOTHING_WRONG = {
    ("init-config my.cfg --encoder ENCODER --train BAD.spacy", "missing"),
    ("train config.cfg --output out --code BAD.py", "empty"),
    ("evaluate model dev.spacy --code BAD.py", "empty"),
    ("evaluate model dev.spacy --curve BAD.jsonl", "empty"),
    ("annotate model BAD.jsonl out", "empty"),
    # Texts that cannot be read are set aside, and listed.
    ("annotate model BAD.jsonl out", "cut short"),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    folder = tmp_path_factory.mktemp("files")
    save_model(folder)
    for name in ("dev", "train"):
        save_corpus(folder / f"{name}.spacy")
    (folder / "texts.txt").write_text("Jane Smith lives in Paris.\n", encoding="utf8")
    (folder / "wheels").mkdir()
    args = ["init-config", str(folder / "config.cfg"), "--encoder", str(tiny_bert)]
    paths = ["--train", str(folder / "train.spacy"), "--dev", str(folder / "dev.spacy")]
    assert CliRunner().invoke(bert_ner_cli, [*args, *paths, "--epochs", "1"]).exit_code == 0
    return folder


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("command", BAD_FILES)
def test_it_is_named_in_a_line(
    command: str,
    wrong: str,
    template: Path,
    tmp_path: Path,
    tiny_bert: Path,
    monkeypatch: pytest.MonkeyPatch,
    forked_workers: None,
) -> None:
    for path in template.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    (bad,) = [part for part in command.split() if "BAD" in part]
    WRONG[wrong](Path(bad))
    args = [str(tiny_bert) if part == "ENCODER" else part for part in command.split()]
    result = CliRunner().invoke(bert_ner_cli, args)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    printed = "".join(result.output.split())
    if (command, wrong) in NOTHING_WRONG:
        assert result.exit_code == 0, result.output
        return
    assert result.exit_code in (1, 2), result.output
    assert Path(bad).name.replace("./", "") in printed, result.output
    assert "Traceback" not in printed
