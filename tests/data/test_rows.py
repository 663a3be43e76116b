"""Rows of the Hub's form, as parquet files and data sets: what is accepted, and what is refused."""

from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Value

from spacy_bert_ner.data import (
    CorpusError,
    Rows,
    dataset_rows,
    parquet_rows,
    read_rows,
)
from spacy_bert_ner.data.notes import Notes
from tests.data.corpora import IOB, KNOWN, ONE, TWO, dataset, layout, tiny_dataset, write

ROWS_ACCEPTED = {
    "ids, numbers": (dataset([["Ada", "ran"], ["Paris"]], [[1, 0], [3]], document_id=[7, 7]), ONE),
    "ids, strings": (dataset([["Ada", "ran"], ["Paris"]], [[1, 0], [3]], doc_id=["a", "b"]), TWO),
    "string tags": (dataset([["Ada", "ran"], ["Paris"]], [["U-PER", "O"], ["U-LOC"]], Value("string")), TWO),
    "DOCSTART rows": (
        dataset([["-DOCSTART-"], ["Ada", "ran"], ["-DOCSTART-"], ["Paris"]], [[0], [1, 0], [0], [3]]),
        TWO,
    ),
    "no first DOCSTART row": (dataset([["Ada", "ran"], ["-DOCSTART-"], ["Paris"]], [[1, 0], [-1], [3]]), TWO),
    "rows without tokens": (dataset([["Ada", "ran"], [], ["Paris"]], [[1, 0], [], [3]]), TWO),
}


@pytest.mark.parametrize(("rows", "expected"), ROWS_ACCEPTED.values(), ids=ROWS_ACCEPTED)
def test_rows_accepted(tmp_path: Path, rows: Dataset, expected: list[list[list[str]]]) -> None:
    rows.to_parquet(tmp_path / "rows.parquet")
    assert layout(read_rows([dataset_rows(rows, "rows")])) == expected
    assert layout(read_rows([parquet_rows(tmp_path / "rows.parquet")])) == expected


ROWS_REFUSED = {
    "lengths": (
        dataset([["a"], ["a", "b"]], [[0], [0]]),
        ": row 1: 2 tokens and 1 ner_tags, expected as many of both",
    ),
    "negative number": (dataset([["a", "b"]], [[0, -1]]), ": row 0, token 1: tag number -1, expected one from 0 to 4"),
    "no number": (dataset([["a", "b"]], [[0, None]]), ": row 0, token 1: tag number None, expected one from 0 to 4"),
    "no names": (
        dataset([["a"]], [[0]], Value("int64")),
        ": column ner_tags is List(Value('int64')), expected lists of strings, or of ClassLabel, which name the "
        "numbers: give the column a ClassLabel feature with `datasets`, or write the tags as strings",
    ),
    "unknown tag": (
        dataset([["a"], ["a"]], [["O"], ["X-PER"]], Value("string")),
        f": row 1, token 0: unknown tag 'X-PER', {KNOWN}",
    ),
    "unknown tag among names": (
        dataset([["a"]], [[1]], ClassLabel(names=["O", "X-PER", "B-PER"])),
        f": row 0, token 0: unknown tag 'X-PER', {KNOWN}",
    ),
    "no tag": (dataset([["a"]], [[None]], Value("string")), f": row 0, token 0: unknown tag None, {KNOWN}"),
    "illegal sequence": (
        dataset([["a", "b"]], [["O", "L-X"]], Value("string")),
        ": row 0, token 1: tag 'L-X' after 'O', expected O, B- or U- (BILUO tags, as {file}: row 0, token 1 has "
        "'L-X'; {IOB})",
    ),
    "empty token": (dataset([["a", ""]], [[0, 0]]), ": row 0, token 1: an empty token, expected text"),
    "null tokens": (dataset([["a"], None], [[0], [0]]), ": row 1: no tokens, expected a list"),
    "null tags": (dataset([["a"], ["b"]], [[0], None]), ": row 1: no ner_tags, expected a list"),
    "null id": (
        dataset([["a"], ["b"]], [[0], [0]], document_id=[1, None]),
        ": row 1: no document_id, expected one in every row, or no such column",
    ),
    "no tags": (
        dataset([["a"]], [[0]]).remove_columns("ner_tags"),
        ": no column of tags (ner_tags, tags, ner, labels) among tokens: say which it is with --tag-column NAME",
    ),
    "tokens that are no lists": (
        Dataset.from_dict({"tokens": ["a b"], "ner_tags": [["O", "O"]]}),
        ": column tokens is Value('string'), expected lists of strings",
    ),
    "no rows": (dataset([], []), ": no sentences, expected rows with tokens"),
}


@pytest.mark.parametrize(("rows", "message"), ROWS_REFUSED.values(), ids=ROWS_REFUSED)
def test_rows_refused(tmp_path: Path, rows: Dataset, message: str) -> None:
    path = tmp_path / "rows.parquet"
    rows.to_parquet(path)
    for name, source in (("Hub train", dataset_rows(rows, "Hub train")), (str(path), parquet_rows(path))):
        with pytest.raises(CorpusError) as error:
            read_rows([source])
        assert str(error.value) == name + message.replace("{file}", name).replace("{IOB}", IOB)


def test_number_out_of_range() -> None:
    batch = {"tokens": [["a", "b"]], "ner_tags": [[0, 5]]}
    rows = Rows("rows", tiny_dataset().features, 1, lambda columns: iter([batch]))
    with pytest.raises(CorpusError, match=r"^rows: row 0, token 1: tag number 5, expected one from 0 to 4$"):
        read_rows([rows])


def test_not_parquet(tmp_path: Path) -> None:
    path = write(tmp_path, "no parquet", "train.parquet")
    with pytest.raises(CorpusError) as error:
        parquet_rows(path)
    assert str(error.value).startswith(f"{path}: not a parquet file (Parquet magic bytes not found in footer.")


def test_document_ids_that_come_back() -> None:
    rows = dataset([["a"], ["b"], ["c"]], [[0], [0], [0]], document_id=[1, 2, 1])
    notes = Notes()
    assert [document.id for document in read_rows([dataset_rows(rows, "rows")], notes=notes)] == ["1", "2", "1"]
    said = "rows: 1 times a document id comes back later; each run is a document of its own"
    assert list(notes.lines()) == [(said, [])]
