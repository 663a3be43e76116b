"""`convert`: what it says on the console beside what it writes."""

import json
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli

CASES = Path(__file__).parent / "cases"
TWINS = [("Ada L", [[0, 3, "A"]]), ("Ada L", []), ("Eve L", []), ("Ada L", [[4, 5, "A"]]), ("Ada L", [[0, 3, "A"]])]
COLUMNS = "-DOCSTART- O\n\nAda B-A\nL O\n\n-DOCSTART- O\n\nAda O\nL O\n"


@pytest.fixture
def convert(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    """Give a function: arguments to the exit code and all that is said, in one line."""

    def run(*args: Any) -> tuple[int, str]:
        result = CliRunner().invoke(bert_ner_cli, ["convert", *map(str, args)])
        return result.exit_code, " ".join((result.output + capfd.readouterr().out).split())

    return run


def write(path: Path, *records: tuple[str, list[Any]]) -> Path:
    lines = [json.dumps({"text": text, "label": label}) for text, label in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf8")
    return path


def tags(path: Path) -> list[str]:
    docs = DocBin().from_disk(path).get_docs(spacy.blank("en").vocab)
    return [" ".join(f"{token.ent_iob_}{token.ent_type_}" or "-" for token in doc) for doc in docs]


def test_a_file_without_entities_cannot_be_overlooked(convert: Any, tmp_path: Path) -> None:
    code, said = convert(write(tmp_path / "in.jsonl", ("Nobody.", [])), tmp_path / "out.spacy")
    assert code == 0
    assert "NO ENTITY" in said
    assert "Not one entity was read" in said
    code, said = convert(write(tmp_path / "in.jsonl", ("Ada.", [[0, 3, "A"]])), tmp_path / "out.spacy")
    assert "NO ENTITY" not in said


def test_equal_texts_that_contradict_are_listed_unless_partial(convert: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", *TWINS)
    code, said = convert(path, tmp_path / "out.spacy")
    assert code == 0
    assert "2 texts come again with other entities" in said
    assert "--partial" in said
    for line in (2, 4):
        assert f"{path}:{line}, as {path}:1: 'Ada L'" in said
    code, said = convert(path, tmp_path / "out.spacy", "--partial")
    assert code == 0
    assert "come again" not in said
    assert tags(tmp_path / "out.spacy") == ["BA -", "- -", "- -", "- BA", "BA -"]
    code, said = convert(
        write(tmp_path / "in.jsonl", *TWINS[:1], ("Ada L", [[0, 3, "B"]])), tmp_path / "x.spacy", "--partial"
    )
    assert "1 texts come again" in said


def test_equal_column_documents_that_contradict_are_listed(convert: Any, tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text(COLUMNS, encoding="utf8")
    code, said = convert(tmp_path / "train.conll", tmp_path / "out.spacy")
    assert code == 0
    assert "1 texts come again with other entities" in said


def test_binary_answers_teach_no_o(convert: Any, tmp_path: Path) -> None:
    assert convert(CASES / "11_prodigy_binary/teach.jsonl", tmp_path / "out.spacy")[0] == 0
    assert tags(tmp_path / "out.spacy") == ["BPER IPER - BPER IPER - BLOC -", "BLOC - - -"]


def test_a_contradiction_teaches_no_o_anywhere_that_it_may_mean(convert: Any, tmp_path: Path) -> None:
    span = {"start": 4, "end": 7, "label": "PER", "text": "Ann"}
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": "Bob met Ann there", "spans": [span]}), encoding="utf8")
    code, said = convert(tmp_path / "in.jsonl", tmp_path / "out.spacy")
    assert code == 0
    assert "1 entities contradict the text" in said
    assert "in.jsonl:1: 'Ann' (PER, 4 to 7): the text there is 'met'" in said
    assert tags(tmp_path / "out.spacy") == ["O - - O"]


def test_all_conflicts_are_said_at_once(convert: Any, tmp_path: Path) -> None:
    spans = [[0, 3, "A"], [0, 3, "B"]]
    code, said = convert(write(tmp_path / "in.jsonl", ("Ada", spans), ("Eve", spans)), tmp_path / "out.spacy")
    assert code == 1
    assert "'Ada' (A, 0 to 3) and 'Ada' (B, 0 to 3)" in said
    assert "'Eve' (A, 0 to 3) and 'Eve' (B, 0 to 3)" in said
    assert not (tmp_path / "out.spacy").exists()


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("ja", "pip install sudachipy sudachidict_core"),
        ("th", "pip install pythainlp"),
        ("vi", "pip install pyvi"),
        ("ko", "pip install natto-py"),
        ("klingon", "There is no language 'klingon'"),
    ],
)
def test_a_tokenizer_that_is_not_installed_is_named(
    lang: str,
    said: str,
    convert: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Whatever is installed here.
    def refuse(lang: str) -> None:
        raise ImportError(f"{lang} wants something")

    monkeypatch.setattr(spacy, "blank", refuse)
    code, found = convert(write(tmp_path / "in.jsonl", ("x", [])), tmp_path / "out.spacy", "--lang", lang)
    assert code == 1
    assert said in found
    assert ("There is no language" in found) == (lang == "klingon")
    result = CliRunner().invoke(bert_ner_cli, ["init-config", str(tmp_path / "x.cfg"), "-e", "x", "--lang", lang])
    assert result.exit_code == 1
    assert said in " ".join(capfd.readouterr().out.split()) + result.output
