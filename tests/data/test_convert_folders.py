"""`convert`: folders, splits, options, and what it prints."""

from pathlib import Path
from typing import Any

import pytest
import spacy
from datasets import ClassLabel, Dataset, Features, List, Value
from spacy.tokens import Doc, DocBin
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli

ADA = "Ada B-PER\nran O\n\n"


def convert(*args: Any) -> tuple[int, str]:
    """RETURNS (tuple[int, str]): Exit code, and what was printed, in one line."""
    result = CliRunner().invoke(bert_ner_cli, ["convert", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, " ".join(result.output.split())


def load(path: Path) -> list[Doc]:
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf8")
    return folder


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("".join(f"Ada{i}.{j} B-PER\nran O\n\n" for j in range(30)), encoding="utf8")
    return folder


FOLDERS: dict[str, tuple[list[str], list[str], str]] = {
    "train and dev": (["train.txt", "dev.txt"], ["train", "dev"], "There is no test set"),
    "train and test": (
        ["AnEM.train", "AnEM.test"],
        ["train", "test"],
        "There is no dev set; --dev-share 0.1 takes some",
    ),
    "train alone": (["NER-de-train.tsv"], ["train"], "There is no dev and no test set"),
    "WNUT": (
        ["wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"],
        ["train", "dev", "test"],
        "Wrote",
    ),
    "BioBERT": (["train.tsv", "devel.tsv", "test.tsv", "README.md"], ["train", "dev", "test"], "Wrote"),
    "gold": (["x_train_gold.conll", "x-dev-gold.conll"], ["train", "dev"], "no test"),
}


@pytest.mark.parametrize(("names", "splits", "said"), FOLDERS.values(), ids=FOLDERS)
def test_the_splits_that_there_are(names: list[str], splits: list[str], said: str, tmp_path: Path) -> None:
    code, printed = convert(fill(tmp_path / "in", *names), tmp_path / "out")
    assert (code, sorted(path.stem for path in (tmp_path / "out").iterdir())) == (0, sorted(splits))
    assert said in printed
    assert printed.count("missing") == (3 - len(splits)) * 5


def test_dev_share_of_train(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "x.train", "x.test")
    assert convert(folder, tmp_path / "out", "--dev-share", "0.3")[0] == 0
    train, dev, test = (len(load(tmp_path / "out" / f"{split}.spacy")) for split in ("train", "dev", "test"))
    assert (train + dev, test) == (30, 30)
    assert dev > 0
    code, printed = convert(fill(tmp_path / "in2", "train.txt", "dev.txt"), tmp_path / "no", "--dev-share", "0.3")
    assert (code, "there is a dev set" in printed, (tmp_path / "no").exists()) == (1, True, False)


def test_files_that_are_said(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "a.conll", "b.conll", "train.conll")
    code, printed = convert(folder, tmp_path / "one", "--dev", folder / "a.conll")
    assert (code, sorted(path.stem for path in (tmp_path / "one").iterdir())) == (0, ["dev", "train"])
    assert convert(folder, tmp_path / "two", "--train", "b.conll", "--test", "a.conll")[0] == 0
    assert load(tmp_path / "two" / "train.spacy")[0][0].text == "Ada1.0"
    assert convert(tmp_path / "three", "--train", folder / "b.conll", "--dev", folder / "a.conll")[0] == 0
    assert sorted(path.stem for path in (tmp_path / "three").iterdir()) == ["dev", "train"]
    code, printed = convert(folder, tmp_path / "four", "--dev", "c.conll")
    assert (code, "c.conll: no such file" in printed) == (1, True)
    code, printed = convert(tmp_path / "five")
    assert (code, "Where to write is missing" in printed) == (1, True)
    code, printed = convert(folder / "nothing", tmp_path / "six")
    assert (code, "there is no such file or folder" in printed) == (2, True)
    code, printed = convert(folder, tmp_path / "seven.spacy")
    assert (code, "expected a folder for several files" in printed) == (1, True)


def test_splits_must_be_alike(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", train_dot_txt="Ada N B-PER\n", dev_dot_txt="Ada B-PER N\n")
    code, printed = convert(folder, tmp_path / "out")
    assert code == 1
    assert "train: tokens in column 1, tags in column 3 of 3; dev: tokens in column 1, tags in column 2 of 3" in printed


def test_exports_as_splits(tmp_path: Path) -> None:
    record = '{"text": "Ada ran", "spans": [{"start": 0, "end": 3, "label": "PER"}]}\n'
    folder = write(tmp_path / "in", train_dot_jsonl=record, dev_dot_jsonl=record)
    assert convert(folder, tmp_path / "out")[0] == 0
    assert [ent.text for ent in load(tmp_path / "out" / "dev.spacy")[0].ents] == ["Ada"]


def test_the_table_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "x.conll"
    path.write_text(ADA + "Li B-A_type_whose_name_is_longer_than_thirty_letters\n", encoding="utf8")
    result = CliRunner().invoke(bert_ner_cli, ["convert", str(path), str(tmp_path / "x.spacy"), "--n-sents", "2"])
    lines = result.output.splitlines()
    top = next(i for i, line in enumerate(lines) if line.strip() == "x.conll")
    table = [line.split() for line in lines[top + 2 : top + 8]]
    assert table == [
        ["documents", "1"],
        ["sentences", "2"],
        ["tokens", "3"],
        ["entities", "2"],
        ["A_type_whose_name_is_longer_than_thirty_letters", "1"],
        ["PER", "1"],
    ]


def test_sentences_to_a_document(tmp_path: Path) -> None:
    path = fill(tmp_path / "in", "x.conll") / "x.conll"
    code, printed = convert(path, tmp_path / "x.spacy")
    assert (code, len(load(tmp_path / "x.spacy"))) == (0, 30)
    assert "nothing tells where documents end, so each of the 30 sentences became one" in printed
    assert convert(path, tmp_path / "x.spacy", "--n-sents", "7")[0] == 0
    assert [len(list(doc.sents)) for doc in load(tmp_path / "x.spacy")] == [7, 7, 7, 7, 2]


def test_options_reach_every_reader(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", train_dot_txt="Ada PER\nLi PER\n", dev_dot_txt="Ada PER\n")
    assert convert(folder, tmp_path / "out")[0] == 1
    assert convert(folder, tmp_path / "out", "--format", "io")[0] == 0
    assert [ent.text for ent in load(tmp_path / "out" / "train.spacy")[0].ents] == ["Ada Li"]
    code, printed = convert(folder, tmp_path / "out", "--format", "bio2")
    assert (code, "There is no --format bio2" in printed, "io: types without a prefix" in printed) == (1, True, True)


def dataset(features: dict[str, Any], **columns: list[Any]) -> Dataset:
    return Dataset.from_dict(columns, features=Features(features))


STRINGS = List(Value("string"))
NAMES = List(ClassLabel(names=["O", "PER", "LOC"]))
ROWS: dict[str, tuple[Dataset, list[str], list[str] | str]] = {
    "tags": (dataset({"tokens": STRINGS, "tags": STRINGS}, tokens=[["Ada"]], tags=[["B-PER"]]), [], ["Ada PER"]),
    "words and ner": (dataset({"words": STRINGS, "ner": STRINGS}, words=[["Ada"]], ner=[["S-PER"]]), [], ["Ada PER"]),
    "names without a prefix": (
        dataset({"tokens": STRINGS, "ner_tags": NAMES}, tokens=[["Ada", "Li"]], ner_tags=[[1, 1]]),
        [],
        ["Ada Li PER"],
    ),
    "strings without a prefix": (
        dataset({"tokens": STRINGS, "ner_tags": STRINGS}, tokens=[["Ada", "ran"]], ner_tags=[["PER", "O"]]),
        [],
        ["Ada PER"],
    ),
    "tokens beside words": (
        dataset(
            {"tokens": STRINGS, "words": STRINGS, "ner_tags": STRINGS},
            tokens=[["A", "##da", "Li"]],
            words=[["Ada", "Li"]],
            ner_tags=[["B-PER", "O"]],
        ),
        [],
        ["Ada PER"],
    ),
    "tokens and words that differ": (
        dataset(
            {"tokens": STRINGS, "words": STRINGS, "ner_tags": STRINGS},
            tokens=[["ada"]],
            words=[["Ada"]],
            ner_tags=[["B-PER"]],
        ),
        [],
        "columns tokens and words differ, and both have as many as ner_tags: choose one with --token-column NAME",
    ),
    "numbers beside strings": (
        dataset(
            {"tokens": STRINGS, "ner_tags": List(Value("int64")), "tags": STRINGS},
            tokens=[["Ada"]],
            ner_tags=[[1]],
            tags=[["B-PER"]],
        ),
        [],
        ["Ada PER"],
    ),
    "said": (
        dataset(
            {"form": STRINGS, "fine": STRINGS, "ner_tags": STRINGS},
            form=[["Ada"]],
            fine=[["B-poet"]],
            ner_tags=[["B-PER"]],
        ),
        ["--token-column", "form", "--tag-column", "fine"],
        ["Ada poet"],
    ),
    "said, and not there": (
        dataset({"tokens": STRINGS, "ner_tags": STRINGS}, tokens=[["Ada"]], ner_tags=[["B-PER"]]),
        ["--tag-column", "fine"],
        "--tag-column fine, expected one of its columns: tokens, ner_tags",
    ),
}


@pytest.mark.parametrize(("rows", "options", "expected"), ROWS.values(), ids=ROWS)
def test_rows(rows: Dataset, options: list[str], expected: list[str] | str, tmp_path: Path) -> None:
    rows.to_parquet(tmp_path / "x.parquet")
    code, printed = convert(tmp_path / "x.parquet", tmp_path / "x.spacy", *options)
    if isinstance(expected, str):
        assert (code, expected in printed) == (1, True)
    else:
        assert code == 0
        assert [f"{ent.text} {ent.label_}" for doc in load(tmp_path / "x.spacy") for ent in doc.ents] == expected
