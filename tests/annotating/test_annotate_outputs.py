"""What `annotate` writes: every format from every format, in shards and in one file."""

import csv
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import spacy
from spacy.tokens import DocBin

from spacy_bert_ner.annotating import AnnotationError
from spacy_bert_ner.ner.annotations import install_extension
from tests.annotating.runs import TEXTS, InlinePool, numbered, read_lines, read_parts, run, write_jsonl

Found = list[tuple[int, int, str]]


def write_inputs(folder: Path) -> dict[str, Path]:
    """Write TEXTS in every format that can be read. RETURNS: The files by format."""
    records = [{"id": f"n{i}", "text": text} for i, text in enumerate(TEXTS)]
    paths = {"jsonl": write_jsonl(folder / "texts.jsonl", records)}
    for name in ("csv", "tsv", "parquet", "spacy", "txt"):
        paths[name] = folder / f"texts.{name}"
    for name, delimiter in (("csv", ","), ("tsv", "\t")):
        with paths[name].open("w", encoding="utf8", newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows([["id", "text"], *(each.values() for each in records)])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), paths["parquet"])
    nlp = spacy.blank("en")
    docs = [nlp(text) for text in TEXTS]
    for doc, record in zip(docs, records, strict=True):
        doc.user_data["fields"] = {"id": record["id"]}
    DocBin(docs=docs, store_user_data=True).to_disk(paths["spacy"])
    paths["folder"] = folder / "files"
    paths["folder"].mkdir()
    for record in records:
        (paths["folder"] / f"{record['id']}.txt").write_text(record["text"], encoding="utf8")
    paths["txt"].write_text("\n".join(text.replace("\n", " ") for text in TEXTS), encoding="utf8")
    return paths


def read_output(path: Path) -> list[tuple[str, str, Found, list[float | None]]]:
    """RETURNS: Of every document in a file or folder: id, text, entities, confidences."""
    paths = sorted(path.glob("part-*")) if path.is_dir() else [path]
    found = []
    for each in paths:
        if each.suffix == ".spacy":
            install_extension()
            for doc in DocBin().from_disk(each).get_docs(spacy.blank("en").vocab):
                ents = [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]
                own_id = doc.user_data["fields"]["id"]
                found.append((own_id, doc.text, ents, [ent._.confidence for ent in doc.ents]))
            continue
        rows = read_lines(each) if each.suffix == ".jsonl" else pyarrow.parquet.read_table(each).to_pylist()
        for row in rows:
            ents = [(entity["start"], entity["end"], entity["label"]) for entity in row["entities"]]
            found.append((row["id"], row["text"], ents, [entity["confidence"] for entity in row["entities"]]))
    return found


@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "parquet", "spacy", "folder", "txt"])
def test_every_input_in_every_output(kind: str, cnn: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    path = write_inputs(tmp_path)[kind]
    options: dict[str, Any] = {"shard_size": 2, "text_files": "documents" if kind == "folder" else "lines"}
    nlp = spacy.load(cnn)
    texts = TEXTS if kind != "txt" else [text.replace("\n", " ") for text in TEXTS if text.strip()]
    docs = [nlp(text) for text in texts]
    for suffix in ("jsonl", "parquet", "spacy"):
        run(cnn, path, tmp_path / "out" / f"all.{suffix}", **options)
        run(cnn, path, tmp_path / "out" / suffix, format=suffix, **options)
        output = read_output(tmp_path / "out" / f"all.{suffix}")
        assert output == read_output(tmp_path / "out" / suffix)
        assert [text for _, text, _, _ in output] == texts
        expected = [[(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents] for doc in docs]
        assert [ents for _, _, ents, _ in output] == expected
        for doc, (own_id, _, _, confidences) in zip(docs, output, strict=True):
            assert confidences == pytest.approx([ent._.confidence for ent in doc.ents], abs=1e-4)
            assert own_id.startswith("n" if kind not in ("folder", "txt") else str(path))
        assert len({own_id for own_id, *_ in output}) == len(texts)


def test_what_is_written_can_be_read(cnn: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    source: Path | str = write_inputs(tmp_path)["jsonl"]
    expected = None
    for i, suffix in enumerate(("parquet", "spacy", "jsonl", "spacy", "parquet", "jsonl")):
        target = tmp_path / f"{i}.{suffix}"
        # The entities of the run before are a field of the input like others.
        run(cnn, source, target, fields=["text"])
        expected = expected or read_output(target)
        assert [row[:3] for row in read_output(target)] == [row[:3] for row in expected]
        source = target


def test_parquet_keeps_the_columns_and_their_types(ruler: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    columns = {
        "id": pyarrow.array([5, 6], pyarrow.int32()),
        "text": pyarrow.array(["IBM", "Paris"]).dictionary_encode().cast(pyarrow.large_string()),
        "day": pyarrow.array([date(2020, 1, 2), None]),
        "price": pyarrow.array([Decimal("1.50"), None], pyarrow.decimal128(5, 2)),
        "raw": pyarrow.array([b"\xff", b""]),
        "nested": pyarrow.array([{"a": [1.5]}, None]),
    }
    table = pyarrow.table(columns)
    pyarrow.parquet.write_table(table, tmp_path / "texts.parquet")
    run(ruler, tmp_path / "texts.parquet", tmp_path / "out.parquet")
    written = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert written.drop_columns("entities").equals(table)
    assert str(written.schema.field("entities").type) == (
        "list<element: struct<start: int64, end: int64, label: string, confidence: float>>"
    )
    run(ruler, tmp_path / "texts.parquet", tmp_path / "out.jsonl", fields=["day", "price", "raw"])
    assert [{name: row[name] for name in ("day", "price", "raw")} for row in read_lines(tmp_path / "out.jsonl")] == [
        {"day": "2020-01-02", "price": "1.50", "raw": "/w=="},
        {"day": None, "price": None, "raw": ""},
    ]


def test_parquet_from_others_holds_their_fields_as_json(ruler: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    records = [{"text": "IBM", "a": [1]}, {"text": "Paris", "b": "x\ud800"}, {"text": "", "id": 3}]
    records.append({"text": "null", "id": None})
    texts = write_jsonl(tmp_path / "texts.jsonl", records)
    run(ruler, texts, tmp_path / "out.parquet")
    rows = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [json.loads(row["fields"]) for row in rows] == [{"a": [1]}, {"b": "x\ud800"}, {}, {}]
    assert [row["id"] for row in rows] == [f"{texts}:1", f"{texts}:2", "3", f"{texts}:4"]
    run(ruler, texts, tmp_path / "few.parquet", fields=[])
    assert pyarrow.parquet.read_schema(tmp_path / "few.parquet").names == ["id", "entities"]


def test_parquet_files_that_differ(ruler: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    for name, value in (("a", 1), ("b", "1")):
        table = pyarrow.Table.from_pylist([{"text": "IBM", "n": value, "entities": 1}])
        pyarrow.parquet.write_table(table, tmp_path / f"{name}.parquet")
    both = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    with pytest.raises(AnnotationError, match=r"b.parquet: column n is string, and int64 in .*a.parquet, expected the"):
        run(ruler, both, tmp_path / "out.parquet")
    with pytest.raises(AnnotationError, match=r"a.parquet: no column body among text, n, entities: name the text's"):
        run(ruler, both, tmp_path / "out.parquet", text_field="body")
    with pytest.raises(AnnotationError, match="two columns entities: name the entities' with --entities-field"):
        run(ruler, both[0], tmp_path / "out.parquet")
    run(ruler, both, tmp_path / "out.parquet", fields=["text"])
    assert [row["text"] for row in pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()] == ["IBM", "IBM"]


def test_an_id_that_must_be_there(ruler: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    records = [{"text": "IBM", "no": 1}, {"text": "IBM", "id": 2}, {"text": "IBM", "no": [3]}]
    run(ruler, write_jsonl(tmp_path / "texts.jsonl", records), tmp_path / "out", id_field="no", fields=[])
    assert [document["no"] for document in read_parts(tmp_path / "out")] == [1]
    errors = [failure["error"] for failure in read_lines(tmp_path / "out" / "failed.jsonl")]
    assert errors == [
        "no field no among text, id: name it with --id-field",
        "field no is of type list, expected text or a whole number",
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "spacy"])
def test_no_document_at_all(ruler: Path, tmp_path: Path, pools: list[InlinePool], suffix: str) -> None:
    run(ruler, write_jsonl(tmp_path / "no.jsonl", []), tmp_path / f"none.{suffix}")
    run(ruler, write_jsonl(tmp_path / "worse.jsonl", [b"bad"]), tmp_path / f"bad.{suffix}")
    assert read_output(tmp_path / f"none.{suffix}") == read_output(tmp_path / f"bad.{suffix}") == []


def test_numbers_that_a_spacy_file_cannot_hold(ruler: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    texts = write_jsonl(tmp_path / "texts.jsonl", [*numbered(TEXTS), {"text": "IBM", "id": "big", "n": 2**70}])
    summary = run(ruler, texts, tmp_path / "out.spacy")
    assert (summary.documents, summary.failed) == (len(TEXTS), 1)
    (failure,) = read_lines(tmp_path / "out.spacy.parts" / "failed.jsonl")
    assert failure["record"]["id"] == "big"
    assert failure["error"].startswith("its fields cannot be written to a .spacy file")
