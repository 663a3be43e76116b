"""`bert-ner suggest`: what it writes, from any input, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc, DocBin

from spacy_bert_ner.data.exports.tasks import TASK_FILES
from spacy_bert_ner.suggesting.suggestion_run import SUGGESTIONS
from tests.commands.tiny import invoke, said, save_corpus, save_model

TEXTS = [
    "Zoë Smith of RIVET BANK flew to lagos.",
    "Jane Smith lives in Paris.",
    "Nobody was there, the man said.",
    "Omar Haddad left Acme Tools in Oslo.",
    "Jane Smith lives in Paris.",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a trained pipeline and texts, in which the test runs."""
    save_model(tmp_path)
    rows = [{"id": f"t{i}", "text": text, "entities": "mine"} for i, text in enumerate(TEXTS)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "texts.jsonl").write_text(lines, encoding="utf8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def suggest(folder: Path, *args: Any) -> tuple[list[dict[str, Any]], str]:
    result = invoke("suggest", "model", "texts.jsonl", "out", *args)
    assert result.exit_code == 0, result.output
    lines = (folder / "out" / SUGGESTIONS).read_text(encoding="utf8").splitlines()
    return [json.loads(line) for line in lines], said(result)


@pytest.mark.parametrize("by", ["uncertainty", "diversity", "both"])
def test_what_is_suggested(folder: Path, by: str) -> None:
    found, printed = suggest(folder, "--by", by, "--count", "3")
    assert "1 texts are equal to an earlier one" in printed
    assert [each["rank"] for each in found] == [1, 2, 3]
    assert len({each["source"] for each in found}) == 3
    for each in found:
        assert each["text"] == TEXTS[int(each["source"][1:])]
        assert each["doubt"] == pytest.approx(sum(each["types"].values()), abs=1e-5)
        for span in each["entities"]:
            assert 0 < span["confidence"] <= 1
            assert each["text"][span["start"] : span["end"]].strip()
    assert {path.name for path in (folder / "out").iterdir()} == {SUGGESTIONS, *TASK_FILES}
    if by == "uncertainty":
        assert [each["doubt"] for each in found] == sorted((each["doubt"] for each in found), reverse=True)
    # The same texts give the same files.
    before = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    suggest(folder, "--by", by, "--count", "3")
    assert {path.name: path.read_bytes() for path in (folder / "out").iterdir()} == before


def test_what_is_annotated_already_is_not_suggested(folder: Path) -> None:
    save_corpus(folder / "train.spacy")
    with (folder / "texts.jsonl").open("a", encoding="utf8") as file:
        file.write('{"id": "new", "text": "Rivet Omar met Lagos of Oslo, who was Ms Paris."}\n')
    found, printed = suggest(folder, "--train", "train.spacy")
    # The corpus holds all others.
    assert [each["source"] for each in found] == ["new"]
    assert "Fewer than --count 100" in printed


@pytest.mark.parametrize("by", ["uncertainty", "diversity", "both"])
def test_equal_texts_are_known_however_few_there_are(folder: Path, by: str) -> None:
    nlp = spacy.blank("en")
    doc = nlp.make_doc(TEXTS[1])
    # As column files give it: without what white space there was.
    known = Doc(nlp.vocab, words=[token.text for token in doc])
    known.set_ents([])
    DocBin(docs=[known]).to_disk(folder / "train.spacy")
    (folder / "one.jsonl").write_text(json.dumps({"text": TEXTS[1]}) + "\n", encoding="utf8")
    result = invoke("suggest", "model", "one.jsonl", "out", "--train", "train.spacy", "--by", by)
    assert (result.exit_code, "all are like --train" in said(result)) == (1, True), result.output
    found, printed = suggest(folder, "--train", "train.spacy", "--by", by)
    assert TEXTS[1] not in [each["text"] for each in found]
    assert "1 texts are in train.spacy already" in printed


def test_blank_texts_are_not_suggested(folder: Path) -> None:
    with (folder / "texts.jsonl").open("a", encoding="utf8") as file:
        file.write('{"text": "   "}\n{"text": "\\n \\t"}\n{"text": ""}\n')
    found, _ = suggest(folder, "--by", "diversity")
    assert {each["text"] for each in found} <= set(TEXTS)


def test_records_without_text_are_named(folder: Path) -> None:
    with (folder / "texts.jsonl").open("a", encoding="utf8") as file:
        file.write('{"txt": "x"}\nno json\n')
    _, printed = suggest(folder)
    assert "2 records hold no text" in printed
    assert "texts.jsonl:6" in printed


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("model", "nowhere.txt", "out"), "no such file"),
        (("model", "empty.txt", "out"), "There is no text to choose from"),
        (("nowhere", "texts.jsonl", "out"), "nowhere cannot be loaded"),
        (("model", "texts.jsonl", "out", "--text-field", "body"), "--text-field"),
        (("model", "texts.jsonl", "out", "--train", "texts.jsonl"), "is no .spacy file"),
    ],
)
def test_what_is_refused(folder: Path, args: tuple[str, ...], message: str) -> None:
    (folder / "empty.txt").write_text("\n")
    result = invoke("suggest", *args)
    assert (result.exit_code, message in said(result)) == (1, True), result.output
    assert not (folder / "out").exists()


def test_plain_text(folder: Path) -> None:
    (folder / "texts.txt").write_text("\n".join(TEXTS), encoding="utf8")
    assert invoke("suggest", "model", "texts.txt", "plain", "--count", "1").exit_code == 0
    (line,) = (folder / "plain" / SUGGESTIONS).read_text(encoding="utf8").splitlines()
    assert json.loads(line)["source"].startswith("texts.txt:")
