"""Exports of annotation tools: references, fields, conflicts, broken files, and how formats are recognised."""

from pathlib import Path
from typing import Any

import pytest

from spacy_bert_ner.data import CorpusError
from spacy_bert_ner.data.formats import FORMATS, SourceFile, read_file, recognise
from tests.data.exported import CASES, READ, entities, notes, region, task, write

REFERENCES = [
    "/data/upload/3/b5608bfa-letter.txt",
    "/data/local-files/?d=letters/1.txt",
    "s3://bucket/letters/my letter.txt",
    "https://example.org/letters/1.html?x=1",
    "C:\\letters\\1.txt",
    "letters/1.json",
    "../letter.md",
    "letter.txt",
]


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_is_no_text(reference: str, tmp_path: Path) -> None:
    for record in (task(reference), task(reference, region(0, 3)), {"text": reference, "label": [[0, 3, "PER"]]}):
        path = write(tmp_path / "in.jsonl", record, record)
        with pytest.raises(CorpusError, match="holds a reference to the text") as error:
            read_file(path)
        assert str(error.value).startswith(f"{path}:1: ")


@pytest.mark.parametrize("text", ["See https://a.org/x.txt", "and/or", "Bob.", "1/2", "a.b", "x.txt is a file"])
def test_a_text_is_no_reference(text: str, tmp_path: Path) -> None:
    assert [read.text for read in read_file(write(tmp_path / "in.jsonl", {"text": text, "label": []})).texts] == [text]


def test_an_empty_list_of_annotations_hides_no_text(tmp_path: Path) -> None:
    contents = read_file(write(tmp_path / "in.jsonl", {"text": "Bob x", "annotations": []}))
    assert [text.text for text in contents.texts] == ["Bob x"]


def test_fields(tmp_path: Path) -> None:
    data = {"body": "Anna is here.", "source": "Anna-17"}
    path = write(tmp_path / "in.jsonl", task(data), task(data, region(0, 4, "Anna"), region(8, 12, "here")))
    assert [text.text for text in read_file(path).texts] == ["Anna is here."] * 2
    with pytest.raises(CorpusError, match=r"in.jsonl:1: nothing tells .* 'body', 'source'; expected"):
        read_file(write(tmp_path / "in.jsonl", task(data), task(data, region(0, 4))))
    several = [
        {"type": "labels", "to_name": "a", "value": region(0, 3, "Bob")},
        {"type": "labels", "to_name": "b", "value": region(2, 5, "Eve")},
    ]
    contents = read_file(write(tmp_path / "in.jsonl", task({"one": "Bob x", "two": "y Eve"}, *several)))
    assert entities(contents) == [[("Bob", "PER")], [("Eve", "PER")]]


def test_all_conflicts_of_a_file_at_once(tmp_path: Path) -> None:
    spans = [[0, 3, "A"], [0, 3, "A"], [0, 3, "B"], [2, 5, "A"], [4, 9, "A"]]
    path = write(tmp_path / "in.jsonl", {"text": "Ada L", "label": spans}, {"text": "Eve L", "label": spans[1:3]})
    with pytest.raises(CorpusError) as error:
        read_file(path)
    lines = str(error.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{path}:1"] * 4 + [f"{path}:2"]
    assert sum("overlap" in line for line in lines) == 4


def test_left_out_texts_are_counted(tmp_path: Path) -> None:
    prodigy: list[dict[str, Any]] = [
        {"text": "x", "spans": [], "answer": answer} for answer in ("reject", "ignore", "accept")
    ]
    open_task = {"data": {"text": "x"}, "annotations": []}
    twice = task("Bob x", region(0, 3, "Bob"))
    twice["annotations"] *= 2
    contents = read_file(write(tmp_path / "in.jsonl", *prodigy, open_task, task("x", was_cancelled=True), twice))
    assert len(contents.texts) == 2
    for said in (
        "1 texts were rejected",
        "1 texts were ignored",
        "2 texts without",
        "1 texts were annotated more than",
    ):
        assert said in notes(contents)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"text": "a", "label": []}\n{"text": "\xe9", "label": []}\n', ":2: byte 0xe9 at offset 37 is not UTF-8"),
        (b'\xef\xbb\xbf{"text": "\xe9", "label": []}\n', ":1: byte 0xe9 at offset 13 is not UTF-8"),
        ('{"text": "a"}'.encode("utf-16")[:-1], ": begins as UTF-16 but is damaged"),
        (b'{"text": "a", "label": []}\n{"text": \n', ":2, character 10: this is no JSON"),
        (b'{"text": "a" "label": []}\n{"text": "b", "label": []}\n', ":1, character 14: this is no JSON"),
        (
            b'{\n"classes": [],\n"annotations": [\n["a", {"entities": []}]\n["b"]\n]}',
            ":5, character 1: this is no JSON",
        ),
        (b'{"text": "a"}', ":1: found the keys 'text'; expected"),
        (b'[["a", {"cats": {}}]]', ":#1: found the keys 'cats' beside the text, expected \"entities\""),
        (b'{"id": 1, "paragraphs": []}', "python -m spacy convert"),
        (b'{"tokens": ["a"], "ner_tags": [0]}', ":1, token 0: the tag is the number 0"),
        (b'{"tokens": ["a"], "ner_tags": ["O", "O"]}', ":1: 1 tokens and 2 ner_tags"),
        (b'{"tokens": ["a"], "ner_tags": ["O"]}\n{"tokens": ["a"]}', ":2: no tokens and ner_tags"),
    ],
)
def test_broken_files_are_refused_with_their_place(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(content)
    with pytest.raises(CorpusError) as error:
        read_file(path)
    assert str(error.value).startswith(str(path))
    assert said in str(error.value)
    assert "LATIN1" not in str(error.value)


@pytest.mark.parametrize("names", [("tokens", "ner_tags"), ("words", "tags"), ("tokens", "labels")])
@pytest.mark.parametrize("array", [False, True])
def test_rows_as_json(names: tuple[str, str], array: bool, tmp_path: Path) -> None:
    rows = [dict(zip(names, row, strict=True)) for row in ([["Ada", "ran"], ["B-PER", "O"]], [["Rome"], ["B-LOC"]])]
    path = write(tmp_path / "in.jsonl", *([rows] if array else rows))
    contents = read_file(path)
    sentences = [sentence for document in contents.documents for sentence in document.sentences]
    assert [(sentence.tokens, sentence.entities) for sentence in sentences] == [
        (("Ada", "ran"), ((0, 1, "PER"),)),
        (("Rome",), ((0, 1, "LOC"),)),
    ]


FORMAT_OF = {
    "05_doccano_dups/export.jsonl": "doccano",
    "06_ls_hypertext/hypertextlabels.jsonl": "Label Studio, JSON",
    "11_prodigy_binary/teach.jsonl": "Prodigy",
    "12_ner_annotator/pretty.json": "spaCy, NER Annotator",
}


def test_formats_are_recognised_by_content_not_by_name(tmp_path: Path) -> None:
    for case, name in FORMAT_OF.items():
        copy = tmp_path / "unnamed"
        copy.write_bytes((CASES / case).read_bytes())
        assert recognise(SourceFile(copy)).name == name
        assert entities(read_file(copy)) == READ[case][0]
    (tmp_path / "columns").write_text("[ O\nAda B-PER\n", encoding="utf8")
    assert recognise(SourceFile(tmp_path / "columns")).name == "column file"


def test_the_guide_shows_the_table() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "own-data.md").read_text(encoding="utf8")
    assert [f.name for f in FORMATS if f.holds and f"| {f.name} | {f.holds} |" not in guide] == []
