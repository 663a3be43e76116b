"""What `annotate` reads: which files, in which order, and every format."""

import csv
import os
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import DocBin

from spacy_bert_ner.annotating.annotation_error import AnnotationError
from spacy_bert_ner.annotating.inputs import find_sources
from spacy_bert_ner.annotating.long_texts import split_text
from spacy_bert_ner.annotating.output_options import OutputOptions
from spacy_bert_ner.annotating.readers import read_sources
from spacy_bert_ner.annotating.records import MAX_SHARD_CHARACTERS, InputRecord, Positioned, make_shards
from tests.annotating.runs import TEXTS, write_jsonl


def read(*inputs: Path | str, **options: Any) -> list[InputRecord]:
    chosen = OutputOptions(**options)
    found = find_sources([str(each) for each in inputs], chosen.stdin_format, [])
    positioned = list(read_sources(found.sources, chosen))
    positions = [position for _, position in positioned]
    assert positions == sorted(positions)
    assert "-" in inputs or not positions or positions[-1] <= sum(source.size for source in found.sources)
    return [record for record, _ in positioned]


# --- which files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "b.txt",
        "a.jsonl",
        "sub/c.CSV",
        "sub/.hidden.txt",
        ".cache/d.txt",
        "README.md",
        "out/part-00000.jsonl",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("text\n", encoding="utf8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (["."], ["a.jsonl", "b.txt", "sub/c.CSV"]),
        (["b.txt", "a.jsonl"], ["b.txt", "a.jsonl"]),
        (["*.txt", "a.jsonl"], ["b.txt", "a.jsonl"]),
        (["**/*.[Cc][Ss][Vv]"], ["sub/c.CSV"]),
        (["-", "sub"], ["-", "sub/c.CSV"]),
    ],
    ids=str,
)
def test_files_are_found_in_order(folder: Path, inputs: list[str], names: list[str]) -> None:
    found = find_sources(inputs, "jsonl", [Path("out")])
    assert [source.name for source in found.sources] == names
    assert found.ignored == (("README.md",) if inputs == ["."] else ())


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["nowhere"], "nowhere: no such file or folder, expected a file that ends in .jsonl"),
        (["README.md"], "README.md: a file of another kind"),
        (["*.md"], r"\*.md: found README.md, expected"),
        (["*.none"], r"\*.none: found nothing, expected"),
        (["b.txt", "./sub/../b.txt"], r"sub/../b.txt: named twice \(as b.txt\)"),
        (["a.jsonl", "."], r"a.jsonl: named twice"),
        (["-", "-"], "-: named twice"),
    ],
    ids=str,
)
def test_inputs_that_cannot_be_meant(folder: Path, inputs: list[str], message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        find_sources(inputs, "jsonl", [Path("out")])


def test_standard_input_holds_lines(folder: Path) -> None:
    with pytest.raises(AnnotationError, match="--stdin-format parquet: expected one of jsonl, csv, tsv, text"):
        find_sources(["-"], "parquet", [])


# --- every format ----------------------------------------------------------------------------------------------------


def test_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "one"}\r\n\n  \n{"text": "two\\n", "n": 1.5}\n{"text": "no end"}')
    assert read(path) == [
        InputRecord(f"{path}:1", {"text": "one"}),
        InputRecord(f"{path}:4", {"text": "two\n", "n": 1.5}),
        InputRecord(f"{path}:5", {"text": "no end"}),
    ]


def test_text_by_line_and_by_file(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\ntwo\x0b\x85?\n".replace(b"\x85", "\u2028".encode()))
    assert read(path, text_field="body") == [
        InputRecord(f"{path}:1", {"body": "one"}),
        InputRecord(f"{path}:3", {"body": "two\x0b\u2028?"}),
    ]
    assert read(path, text_files="documents") == [InputRecord(str(path), {"text": "one\r\n\ntwo\x0b\u2028?\n"})]


def test_csv_and_tsv(tmp_path: Path) -> None:
    rows = [["no", "text"], ["1", 'a "quoted",\ntext'], ["2", ""], ["3", "x" * 200_000], ["4"], ["5", "a", "b"]]
    for name, delimiter in (("texts.csv", ","), ("texts.tsv", "\t")):
        path = tmp_path / name
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows(rows)
        with path.open("ab") as file:
            file.write(b"6" + delimiter.encode() + b"\xff\n")
        *good, short, long, broken = read(path)
        assert [record.fields for record in good] == [dict(zip(rows[0], row, strict=True)) for row in rows[1:4]]
        assert good[0].place == f"{path}:#1"
        assert (short.problem, long.problem) == tuple(
            f"{cells} cells, expected 2, as in the first line" for cells in (1, 3)
        )
        assert broken.problem == "column text is no UTF-8, expected UTF-8: convert the file"


@pytest.mark.parametrize(
    ("header", "options", "message"),
    [
        ("id,body", {}, r"no column text in its first line \(id, body\), .* and --text-field to be among them"),
        (
            "id,text",
            {"id_field": "no", "fields": ("id", "date", "place")},
            "no column no, date, place .* and --id-field, --fields to be",
        ),
        ("text,text", {}, "columns text, text, expected every name once"),
        ("", {}, r"no column text in its first line \(nothing\)"),
    ],
)
def test_a_csv_file_without_its_columns(tmp_path: Path, header: str, options: dict[str, Any], message: str) -> None:
    path = tmp_path / "texts.csv"
    path.write_text(f"{header}\n1,2\n" if header else "", encoding="utf8")
    with pytest.raises(AnnotationError, match=message):
        read(path, **options)


def test_parquet(tmp_path: Path) -> None:
    rows = [{"id": i, "text": text, "tags": ["a", "b"], "skipped": 1.0} for i, text in enumerate(TEXTS)]
    path = tmp_path / "texts.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=2)
    assert [record.fields for record in read(path)] == rows
    kept = [{name: row[name] for name in ("id", "text", "tags")} for row in rows]
    assert [record.fields for record in read(path, fields=("tags",))] == kept


def test_spacy(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    docs = [nlp(text) for text in TEXTS]
    docs[0].user_data["fields"] = {"id": 7}
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "texts.spacy")
    records = read(tmp_path / "texts.spacy")
    assert [record.fields["text"] for record in records] == TEXTS
    assert records[0].fields["id"] == 7
    assert records[1].place.endswith("texts.spacy:#2")


@pytest.mark.parametrize("name", ["texts.spacy", "texts.parquet"])
def test_a_file_that_is_no_such(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"text")
    with pytest.raises(AnnotationError, match=f"{name}: not a .*file"):
        read(tmp_path / name)


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_jsonl(tmp_path / "texts.jsonl", [{"text": text} for text in TEXTS])
    reading, writing = os.pipe()
    os.write(writing, path.read_bytes())
    os.close(writing)
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert [record.fields["text"] for record in read("-")] == TEXTS
        assert not stdin.closed


# --- shards and pieces -----------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3)), st.integers(1, 5))
def test_shards_hold_every_record_once(lengths: list[int], size: int) -> None:
    third = MAX_SHARD_CHARACTERS // 3
    records = [Positioned(InputRecord(str(i), {"text": "x" * third * n}), i) for i, n in enumerate(lengths)]
    shards = list(make_shards(iter(records), size))
    assert [record for shard in shards for record in shard.records] == [record for record, _ in records]
    assert [shard.number for shard in shards] == list(range(len(shards)))
    for shard in shards:
        assert 1 <= len(shard.records) <= size
        assert len(shard.records) == 1 or sum(len(r.fields["text"]) for r in shard.records) <= MAX_SHARD_CHARACTERS
        assert shard.position == int(shard.records[-1].place)


@given(st.text(alphabet="ab \n.!。🙂"), st.integers(1, 9))
def test_pieces_are_the_text(text: str, most: int) -> None:
    pieces = list(split_text(text, most))
    assert "".join(piece.text for piece in pieces) == text
    assert all(0 < len(piece.text) <= most for piece in pieces) or pieces == [(0, "")]
    assert all(text.startswith(piece.text, piece.start) for piece in pieces)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("It rained. Jane met.\nShe left early today.", ["It rained. Jane met.\n", "She left early today."]),
        ("It rained today. Jane met him there and left.", ["It rained today. ", "Jane met him there and ", "left."]),
        (
            "一二三四五六七八九十。一二三四五六七八九十一二三四。",
            ["一二三四五六七八九十。", "一二三四五六七八九十一二三四。"],
        ),
        ("x" * 30, ["x" * 24, "x" * 6]),
    ],
)
def test_texts_are_cut_where_they_end(text: str, pieces: list[str]) -> None:
    most = 24 if "一" not in text else 20
    assert [piece.text for piece in split_text(text, most)] == pieces
