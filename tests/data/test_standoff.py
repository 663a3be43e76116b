"""What annotation projects export: brat's pairs, WebAnno's and INCEpTION's TSV, PubTator."""

from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.data import CorpusError
from spacy_bert_ner.data.formats import read_file
from spacy_bert_ner.data.reading_options import ReadingOptions

TEXT = "Anna Berg of Oslo Bank has lung or heart cancer.\nShe left New\nYork 🎉 for Ørsta."


def load(path: Path) -> list[Doc]:
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def line(number: int, label: str, *quoted: str, text: str = TEXT) -> str:
    """A line of an .ann file; several quoted ones are fragments."""
    parts = [f"{text.index(part)} {text.index(part) + len(part)}" for part in quoted]
    return f"T{number}\t{label} {';'.join(parts)}\t{' '.join(quoted)}\n"


def pair(folder: Path, annotation: str, text: str = TEXT, name: str = "x") -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / f"{name}.txt").write_bytes(text.encode())
    (folder / f"{name}.ann").write_bytes(annotation.encode())
    return folder / f"{name}.ann"


def read(path: Path) -> tuple[list[str], list[str], str]:
    """RETURNS (tuple[list[str], list[str], str]): Entities, what is unknown, and what the notes say."""
    contents = read_file(path)
    (text,) = contents.texts
    notes = "\n".join(line for kind, places in contents.notes.lines() for line in [kind, *places])
    entities = [f"{text.text[start:end]} {label}" for start, end, label in text.spans]
    return entities, [text.text[start:end] for start, end in text.unknown], notes


BRAT: dict[str, tuple[str, list[str], list[str], str]] = {
    "entities": (line(1, "PER", "Anna Berg") + line(2, "ORG", "Oslo Bank"), ["Anna Berg PER", "Oslo Bank ORG"], [], ""),
    "behind an emoji": (line(1, "LOC", "Ørsta"), ["Ørsta LOC"], [], ""),
    "over a line's end": ("T1\tLOC 58 61;62 66\tNew York\n", ["New\nYork LOC"], [], ""),
    "nested": (
        line(1, "PER", "Anna Berg") + line(2, "ORG", "Oslo Bank") + line(3, "LOC", "Oslo"),
        ["Anna Berg PER"],
        ["Oslo", "Oslo Bank"],
        "2 entities overlap with others",
    ),
    "discontinuous": (line(1, "DIS", "lung", "cancer"), [], ["cancer", "lung"], "x.ann:1: 'lung cancer' (DIS)"),
    "discontinuous, around another": (
        line(1, "DIS", "lung", "cancer") + line(2, "DIS", "heart cancer"),
        [],
        ["cancer", "heart cancer", "lung"],
        "1 entities are discontinuous",
    ),
    "twice": (line(1, "PER", "Anna Berg") + line(2, "PER", "Anna Berg"), ["Anna Berg PER"], [], "kept once"),
    "other lines": (
        line(1, "PER", "Anna") + "R1\tin Arg1:T1 Arg2:T1\nA1\tNeg T1\n#1\tAnnotatorNotes T1\tsure?\n*\tEquiv T1 T1\n\n",
        ["Anna PER"],
        [],
        "1 relations of brat's were left out",
    ),
    "a contradiction": ("T1\tPER 0 4\tBerg\n", [], ["Anna", "Berg"], "1 entities contradict the text"),
    "none": ("", [], [], ""),
}


@pytest.mark.parametrize(("annotation", "entities", "unknown", "said"), BRAT.values(), ids=BRAT)
def test_brat(annotation: str, entities: list[str], unknown: list[str], said: str, tmp_path: Path) -> None:
    path = pair(tmp_path, annotation)
    for file in (path, path.with_suffix(".txt")):
        found, hidden, notes = read(file)
        assert (found, sorted(hidden)) == (entities, unknown)
        assert said in notes


def test_brat_counts_line_ends_as_its_text_has_them_or_as_one(tmp_path: Path) -> None:
    text = TEXT.replace("\n", "\r\n")
    as_two, as_one = line(1, "LOC", "Ørsta", text=text), line(1, "LOC", "Ørsta")
    for annotation in (as_two, as_one):
        assert read(pair(tmp_path, annotation, text))[0] == ["Ørsta LOC"]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ("T1\tPER 0 4\tAnna\nT2 PER 0 4 Anna\n", ":2: found 'T2 PER 0 4 Anna', expected an entity as"),
        ("Anna PER\n", ":1: found 'Anna PER', expected a line of brat's"),
        ("T1\tPER 90 94\n", ": found the entity 90 to 94 (PER) in a text of"),
    ],
)
def test_brat_refused(annotation: str, message: str, tmp_path: Path) -> None:
    path = pair(tmp_path, annotation)
    with pytest.raises(CorpusError) as error:
        read_file(path)
    assert message in str(error.value)


def test_half_a_pair(tmp_path: Path) -> None:
    path = pair(tmp_path, "")
    path.with_suffix(".txt").unlink()
    with pytest.raises(CorpusError, match=r"expected x\.txt and \.ann together"):
        read_file(path)


def test_folders_of_pairs(tmp_path: Path) -> None:
    for split, names in {"train": "ab", "dev": "c"}.items():
        for name in names:
            pair(tmp_path / "in" / split, line(1, "PER", "Anna Berg"), name=name)
    (tmp_path / "in" / "train" / "alone.txt").write_text("Nobody read this.", encoding="utf8")
    run = CliRunner().invoke(bert_ner_cli, ["convert", str(tmp_path / "in"), str(tmp_path / "out")])
    assert run.exit_code == 0
    assert [len(load(tmp_path / "out" / f"{split}.spacy")) for split in ("train", "dev")] == [2, 1]
    assert "1 texts without annotation were left out: alone.txt" in " ".join(run.output.split())
    run = CliRunner().invoke(bert_ner_cli, ["convert", str(tmp_path / "in" / "train"), str(tmp_path / "x.spacy")])
    assert run.exit_code == 0
    assert [[ent.text for ent in doc.ents] for doc in load(tmp_path / "x.spacy")] == [["Anna Berg"], ["Anna Berg"]]
    run = CliRunner().invoke(bert_ner_cli, ["convert", str(tmp_path / "in" / "train"), str(tmp_path / "folder")])
    assert len(load(tmp_path / "folder" / "train.spacy")) == 2


HEAD = "#FORMAT=WebAnno TSV 3.3\n#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value\n"
OTHERS = "#T_SP=webanno.custom.Size|kind\n#T_RL=webanno.custom.R|role|BT_webanno.custom.Size\n"


def rows(*sentences: str, width: int = 2) -> str:
    """Lay sentences out: FORM=values, / between a token's parts; _ where nothing is said."""
    lines = []
    at = 0
    for i, sentence in enumerate(sentences, start=1):
        lines.append(f"\n\n#Text={sentence.replace('=', ' ')}")
        j = 0
        for item in sentence.split(" "):
            form, _, values = item.partition("=")
            is_part = form.startswith("/")
            j += not is_part
            number = f"{i}-{j}" + (".1" if is_part else "")
            cells = (values.split(";") if values else []) + ["_"] * width
            lines.append("\t".join([number, f"{at}-{at + len(form)}", form.removeprefix("/"), *cells[:width], ""]))
            at += len(form) + 1
    return "\n".join(lines) + "\n"


WEBANNO: dict[str, tuple[str, str, str, str]] = {
    "entities": (
        HEAD + rows("Anna=*[1];PER[1] Berg=*[1];PER[1] ran", "Oslo=*;LOC Bergen=*;LOC"),
        "",
        "Anna:Berg PER | Oslo LOC, Bergen LOC",
        "the values of NamedEntity.value",
    ),
    "nested": (
        HEAD + rows("the Oslo=*[1]|*[2];ORG[1]|LOC[2] Bank=*[1];ORG[1] of=_;_ Anna=*;PER"),
        "",
        "Anna PER, ? Oslo, ? Bank",
        "2 entities overlap with others",
    ),
    "discontinuous": (HEAD + rows("lung=*[1];DIS[1] or cancer=*[1];DIS[1]"), "", "? lung, ? cancer", "discontinuous"),
    "part of a token": (HEAD + rows("Oslofan /Oslo=*;LOC ran"), "", "? Oslofan", "begin or end within a token"),
    "over a sentence's end": (
        HEAD + rows("Anna=*[1];PER[1]", "Berg=*[1];PER[1]"),
        "",
        "? Anna | ? Berg",
        "a sentence's end",
    ),
    "without a label": (HEAD + rows("Anna=*;* Li=*;PER"), "", "Li PER, ? Anna", "1 marked spans have no label"),
    "escaped": (HEAD + rows("a\\_b=*;A\\|B c"), "", "a_b A|B", ""),
    "another layer, chosen": (
        HEAD + OTHERS + rows("Anna=*;PER;_;_;_ tall=_;_;big;_;_", width=5),
        "Size",
        "tall big",
        "the values of Size.kind",
    ),
    "the layer of names before others": (
        HEAD + OTHERS + rows("Anna=*;PER;_;_;_ tall=_;_;big;_;_", width=5),
        "",
        "Anna PER",
        "NamedEntity.value",
    ),
}


@pytest.mark.parametrize(("text", "chosen", "expected", "said"), WEBANNO.values(), ids=WEBANNO)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_webanno(text: str, chosen: str, expected: str, said: str, ends: str, tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes(text.replace("\n", ends).encode())
    contents = read_file(path, ReadingOptions(tag_column=chosen))
    (document,) = contents.documents
    shown = []
    for sentence in document.sentences:
        entities = [f"{':'.join(sentence.tokens[start:end])} {label}" for start, end, label in sentence.entities]
        shown.append(", ".join([*entities, *(f"? {sentence.tokens[i]}" for i in sentence.unknown)]))
    assert " | ".join(shown) == expected
    assert said in "\n".join(kind for kind, _ in contents.notes.lines())


CUSTOM = "#FORMAT=WebAnno TSV 3.3\n#T_SP=custom.A|kind\n#T_SP=custom.B|kind\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            CUSTOM + rows("a=X;Y"),
            ": A.kind and B.kind could each hold the entities: choose one with --tag-column A.kind",
        ),
        (HEAD + "\nAnna\tB-PER\n", ":4: found 'Anna\\tB-PER', expected sentence-token, begin-end, and the token"),
        (HEAD, ": no sentences, expected rows of tokens"),
        ("#FORMAT=WebAnno TSV 2.0\n", ": #FORMAT=WebAnno TSV 2.0, expected WebAnno TSV 3"),
    ],
)
def test_webanno_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text(text, encoding="utf8")
    with pytest.raises(CorpusError) as error:
        read_file(path)
    assert message in str(error.value)


def test_folder_of_webanno(tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder = tmp_path / "annotation" / f"{name}.txt"
        folder.mkdir(parents=True)
        (folder / "ada.tsv").write_text(HEAD + rows("Anna=*;PER ran"), encoding="utf8")
    run = CliRunner().invoke(bert_ner_cli, ["convert", str(tmp_path / "annotation"), str(tmp_path / "x.spacy")])
    assert run.exit_code == 0
    assert [[ent.text for ent in doc.ents] for doc in load(tmp_path / "x.spacy")] == [["Anna"], ["Anna"]]
    assert "2 files of WebAnno's" in " ".join(run.output.split())


def test_pubtator(tmp_path: Path) -> None:
    path = tmp_path / "NCBItrainset_corpus.txt"
    path.write_text(
        "1|t|Of APC2\n1|a|A tumour.\n1\t3\t7\tAPC2\tGene\t9\n1\t10\t16\ttumour\tDisease\tD1\n1\tCID\tD1\tD2\n\n"
        "2|t|None\n2|a|\n",
        encoding="utf8",
    )
    contents = read_file(path)
    assert [(text.text, [text.text[s.start : s.end] for s in text.spans]) for text in contents.texts] == [
        ("Of APC2\nA tumour.", ["APC2", "tumour"]),
        ("None\n", []),
    ]
    assert [kind for kind, _ in contents.notes.lines()] == ["1 relations were left out: they are no entities"]
