"""Exports of annotation tools: cases from real tools, and records of every shape."""

import json
from pathlib import Path
from typing import Any

import pytest

from spacy_bert_ner.data import CorpusError
from spacy_bert_ner.data.formats import read_file
from tests.data.exported import CASES, READ, entities, notes, region, task, write


def globally(start: int, end: int, text: str | None, kind: str = "hypertextlabels") -> dict[str, Any]:
    place = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "globalOffsets": {"start": start, "end": end}}
    return place | {kind: ["PER"]} | ({} if text is None else {"text": text})


@pytest.mark.parametrize(("case", "expected", "said"), [(case, *right) for case, right in READ.items()], ids=READ)
def test_cases_that_are_read(case: str, expected: list[list[tuple[str, str]]], said: list[str]) -> None:
    contents = read_file(CASES / case)
    assert entities(contents) == expected
    assert [words for words in said if words not in notes(contents)] == []
    assert bool(said) == bool(notes(contents))


REFUSED = {
    "07_ls_url/early.jsonl": [":1: the text is '/data/upload/3/b5608bfa-letter.txt'", "a reference to the text"],
    "10_label_space/two_labels.jsonl": [":1: ", "(Heading 1, 0 to 16)", "(unit, 0 to 16) overlap"],
    "13_encoding/cp1252.jsonl": [":1: byte 0xfc at offset 16 is not UTF-8", "iconv -f ENCODING -t UTF-8"],
}


@pytest.mark.parametrize(("case", "said"), REFUSED.items(), ids=REFUSED)
def test_cases_that_are_refused(case: str, said: list[str]) -> None:
    with pytest.raises(CorpusError) as error:
        read_file(CASES / case)
    assert str(error.value).startswith(f"{CASES / case}:1: ")
    assert [words for words in said if words not in str(error.value)] == []


def test_binary_answers_are_partial(tmp_path: Path) -> None:
    contents = read_file(CASES / "11_prodigy_binary/teach.jsonl")
    assert all(text.partial for text in contents.texts)
    base = {"text": "Ann met Bob.", "_view_id": "ner", "_input_hash": 7}
    ann, bob = {"start": 0, "end": 3, "label": "PER"}, {"start": 8, "end": 11, "label": "PER"}
    answers = [("accept", ann), ("reject", ann), ("accept", bob), ("ignore", ann)]
    records = [base | {"answer": answer, "spans": [span]} for answer, span in answers]
    contents = read_file(
        write(tmp_path / "in.jsonl", *records, base | {"text": "No.", "answer": "reject", "spans": [ann]})
    )
    assert entities(contents) == [[("Bob", "PER")]]
    assert "1 suggestions were accepted and rejected" in notes(contents)
    assert "1 texts have rejected suggestions only" in notes(contents)
    assert "1 texts were ignored" in notes(contents)
    whole = [base | {"_is_binary": False, "answer": "accept", "spans": [ann]}]
    assert not read_file(write(tmp_path / "in.jsonl", *whole)).texts[0].partial


LOC, NNA = {"start": 0, "end": 3, "label": "LOC"}, {"start": 1, "end": 5, "label": "PER"}
TWICE: dict[str, tuple[list[dict[str, Any]], str]] = {
    "two types": ([LOC], ":1: PER, 0 to 3; FILE:3: LOC, 0 to 3"),
    "two places": ([NNA], ":1: PER, 0 to 3; FILE:3: PER, 1 to 5"),
    "three": ([LOC, NNA], "3 pairs of accepted suggestions exclude each other"),
}


@pytest.mark.parametrize(("others", "said"), TWICE.values(), ids=TWICE)
def test_accepted_suggestions_that_exclude_each_other(others: list[dict[str, Any]], said: str, tmp_path: Path) -> None:
    bob = {"start": 8, "end": 11, "label": "PER"}
    base = {"text": "Ann met Bob.", "_view_id": "ner", "_is_binary": True, "answer": "accept"}
    spans = [{"start": 0, "end": 3, "label": "PER"}, bob, *others]
    path = write(tmp_path / "in.jsonl", *[base | {"spans": [span]} for span in spans])
    contents = read_file(path)
    assert entities(contents) == [[("Bob", "PER")]]
    assert contents.texts[0].partial
    assert said.replace("FILE", str(path)) in notes(contents)
    only = read_file(write(path, *[base | {"spans": [span]} for span in (spans[0], *others)]))
    assert (only.texts, "1 texts have accepted suggestions only that" in notes(only)) == ([], True)


SHORT: dict[str, tuple[Any, list[list[tuple[str, str]]], str]] = {
    "quoted": ({"text": "Ann.", "label": json.dumps([region(0, 3, "Ann")])}, [[("Ann", "PER")]], ""),
    "quoted, an id": ({"text": "Ann.", "ner": json.dumps([region(0, 3)]), "annotation_id": 1}, [[("Ann", "PER")]], ""),
    "cut off": ({"text": "Ann.", "label": '[{"start": 0, "en', "annotation_id": 1}, [], ":1: 'label': [{"),
    "a text in brackets": ({"text": "[{Ann", "label": [region(2, 5)]}, [[("Ann", "PER")]], ""),
}


@pytest.mark.parametrize(("record", "expected", "said"), SHORT.values(), ids=SHORT)
def test_regions_as_strings(record: Any, expected: list[list[tuple[str, str]]], said: str, tmp_path: Path) -> None:
    contents = read_file(write(tmp_path / "in.jsonl", record))
    assert entities(contents) == expected
    assert said in notes(contents)


HTML = "<div><p>Anna &amp; Bob<br>live in</p> <ul><li>Oslo</li></ul><style>p {}</style></div>"
RECORDS: dict[str, tuple[Any, list[tuple[str, str]]]] = {
    "UTF-16 units": (task("🎉🎉 Bob x", region(5, 8, "Bob")), [("Bob", "PER")]),
    "UTF-16 units, CRLF as one": (task("🎉\r\nBob x", region(3, 6, "Bob")), [("Bob", "PER")]),
    "UTF-8 bytes": (task("é🎉 Bob x", region(7, 10, "Bob")), [("Bob", "PER")]),
    "a run of blanks as one": (task("a   b \n\n Bob x", region(4, 7, "Bob")), [("Bob", "PER")]),
    "no blanks at the beginning": (task("\n  Bob x", region(0, 3, "Bob")), [("Bob", "PER")]),
    "line feeds as two": (task("a\nb\nBob x", region(6, 9, "Bob")), [("Bob", "PER")]),
    "graphemes": (task("e\u0301🇳🇴👩‍👧 Bob x", region(4, 7, "Bob")), [("Bob", "PER")]),
    "from 1": (task("a Bob x", region(3, 6, "Bob")), [("Bob", "PER")]),
    "to the last": (task("a Bob x", region(2, 4, "Bob")), [("Bob", "PER")]),
    "whitespace within": (task("Anna\r\n Berg x", region(0, 11, "Anna\nBerg")), [("Anna\r\n Berg", "PER")]),
    "accents otherwise encoded": (task("Rene\u0301 x", region(0, 5, "René")), [("Rene\u0301", "PER")]),
    "Prodigy, too": (
        {"text": "🎉 Bob", "spans": [{"start": 3, "end": 6, "label": "P", "text": "Bob"}]},
        [("Bob", "P")],
    ),
    "doccano, too": ({"text": "🎉 Bob", "entities": [region(3, 6, "Bob", "P") | {"label": "P"}]}, [("Bob", "P")]),
    "HTML": (task(HTML, globally(7, 10, "Bob"), kind="hypertextlabels"), [("Bob", "PER")]),
    "HTML, a br as nothing": (task(HTML, globally(18, 22, "Oslo"), kind="hypertextlabels"), [("Oslo", "PER")]),
    "HTML, a br as one": (task(HTML, globally(19, 23, "Oslo"), kind="hypertextlabels"), [("Oslo", "PER")]),
    "hypertext without markup": (task("Bob x", globally(0, 3, "Bob"), kind="hypertextlabels"), [("Bob", "PER")]),
    "paragraphs in a text": (
        task("Hi.\nBob x", globally(4, 7, "Bob", "paragraphlabels"), kind="paragraphlabels"),
        [("Bob", "PER")],
    ),
    "paragraphs of a dialogue": (
        task(
            {"talk": [{"author": "A", "text": "Hi."}, {"author": "B", "text": "I am Bob."}]},
            {"start": "1", "end": "1", "startOffset": 5, "endOffset": 8, "text": "Bob", "paragraphlabels": ["PER"]},
            kind="paragraphlabels",
        ),
        [("Bob", "PER")],
    ),
    "global offsets in a dialogue": (
        task(
            {"talk": [{"author": "A", "text": "Hi."}, {"author": "B", "text": "I am Bob."}]},
            globally(8, 11, "Bob", "paragraphlabels"),
            kind="paragraphlabels",
        ),
        [("Bob", "PER")],
    ),
    "JSON-MIN of other names": (
        {"id": 1, "body": "Bob x", "mood": "good", "ner": [region(0, 3, "Bob")], "annotation_id": 3},
        [("Bob", "PER")],
    ),
    "JSON-MIN, HTML": ({"page": HTML, "ner": [globally(7, 10, "Bob")], "annotation_id": 3}, [("Bob", "PER")]),
    "a region without type": (task("Bob x", region(0, 3, "Bob"), kind=None), [("Bob", "PER")]),
    "before Label Studio 1.0": (
        {"data": {"text": "Bob x"}, "completions": task("", region(0, 3, "Bob"))["annotations"]},
        [("Bob", "PER")],
    ),
    "Dataturks": (
        {
            "content": "Hi Bob x",
            "annotation": [{"label": ["PER"], "points": [{"start": 3, "end": 5, "text": "Bob"}]}],
        },
        [("Bob", "PER")],
    ),
    "Dataturks, one character": (
        {"content": "I x", "annotation": [{"label": ["PER"], "points": [{"start": 0, "end": 0, "text": "I"}]}]},
        [("I", "PER")],
    ),
    "spaCy's pair": (["Bob x", {"entities": [[0, 3, "PER"]]}], [("Bob", "PER")]),
    "doc.to_json": (
        {"text": "Bob x", "ents": [{"start": 0, "end": 3, "label": "PER"}], "tokens": []},
        [("Bob", "PER")],
    ),
    "NER Annotator's emoji": (
        {"classes": [], "annotations": [["🎉 Bob x", {"entities": [[3, 6, "PER"]]}]]},
        [("Bob", "PER")],
    ),
    "an address that is annotated": (
        {"text": "https://a.org/b", "label": [[0, 15, "URL"]]},
        [("https://a.org/b", "URL")],
    ),
}


@pytest.mark.parametrize("layout", ["lines", "array", "pretty", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize(("record", "expected"), RECORDS.values(), ids=RECORDS)
def test_records_are_read(record: Any, expected: list[tuple[str, str]], layout: str, tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    value = [record] if layout == "array" else record
    text = json.dumps(value, ensure_ascii=False, indent=2 if layout == "pretty" else None)
    path.write_text(text, encoding=layout if layout.startswith("utf") else "utf8")
    contents = read_file(path)
    assert entities(contents) == [expected]
    assert not contents.texts[0].partial
    assert not contents.texts[0].unknown


CONTRADICTORY = {
    "another word": (task("Bob met Ann", region(4, 7, "Ann")), [("Ann", 8, 11), ("met", 4, 7)]),
    "a word that is not there": (task("Bob met Ann", region(4, 7, "Eve")), [("met", 4, 7)]),
    "outside": (task("Bob met Ann", region(90, 93, "Ann")), [("Ann", 8, 11)]),
    "half": (task("Bob met Ann", region(8, 9, "Ann")), [("Ann", 8, 11)]),
    "in Prodigy": (
        {"text": "Bob met Ann", "spans": [{"start": 4, "end": 7, "label": "P", "text": "Ann"}]},
        [("Ann", 8, 11), ("met", 4, 7)],
    ),
    "no offsets": (
        task("Bob met Ann", {"text": "Ann", "hypertextlabels": ["P"]}, kind="hypertextlabels"),
        [("Ann", 8, 11)],
    ),
}


@pytest.mark.parametrize(("record", "unknown"), CONTRADICTORY.values(), ids=CONTRADICTORY)
def test_contradictions_are_listed_and_unknown(
    record: Any, unknown: list[tuple[str, int, int]], tmp_path: Path
) -> None:
    contents = read_file(write(tmp_path / "in.jsonl", record))
    (text,) = contents.texts
    assert text.spans == ()
    assert {(start, end) for _, start, end in unknown} <= set(text.unknown) or text.partial
    assert "1 entities contradict the text" in notes(contents)
    assert f"{tmp_path / 'in.jsonl'}:1: " in notes(contents)


def test_where_two_ways_of_counting_fit_at_different_places_nothing_tells(tmp_path: Path) -> None:
    contents = read_file(write(tmp_path / "in.jsonl", task("🎉\r\naba", region(4, 5, "a"))))
    assert entities(contents) == [[]]
    assert {(3, 4), (5, 6)} <= set(contents.texts[0].unknown)
    assert "several ways of counting fit" in notes(contents)


def test_one_contradiction_leaves_the_others(tmp_path: Path) -> None:
    contents = read_file(write(tmp_path / "in.jsonl", task("Bob met Ann", region(0, 3, "Bob"), region(4, 7, "Ann"))))
    assert entities(contents) == [[("Bob", "PER")]]
    assert contents.texts[0].unknown == ((4, 7), (8, 11))


def test_regions_that_are_no_entities_are_counted_by_type(tmp_path: Path) -> None:
    choice = {"type": "choices", "value": {"choices": ["good"]}}
    relation = {"type": "relation", "from_id": "a", "to_id": "b"}
    record = task("Bob x", region(0, 3, "Bob"), choice, choice, relation)
    contents = read_file(write(tmp_path / "in.jsonl", record, task("Eve y", {"start": 0, "end": 3, "text": "Eve"})))
    assert entities(contents) == [[("Bob", "PER")], []]
    assert "2 regions of the type 'choices'" in notes(contents)
    assert "1 regions of the type 'relation'" in notes(contents)
    assert "1 marked spans have no label" in notes(contents)
    assert contents.texts[1].unknown == ((0, 3),)
