"""Column files and their neighbours as people have them: cases from real corpora."""

from pathlib import Path

import pytest

from spacy_bert_ner.data import CorpusError
from spacy_bert_ner.data.formats import read_file
from spacy_bert_ner.data.reading_options import ReadingOptions
from tests.data.columns import read

CASES = Path(__file__).parent / "cases"
DATA = Path(__file__).parents[2].parent / "shared" / "data"
# File, options, documents, what the notes say.
READ: list[tuple[str, dict[str, str], str, str]] = [
    ("01_conllu/train.conllu", {}, "Kari/B-PER Nordmann/I-PER bor i Oslo/B-GPE_LOC .", "tags in name= of MISC"),
    (
        "02_germeval/nocomment.tsv",
        {"tag_column": "3"},
        "Aufgrund der FC/B-ORG Bayern/I-ORG Fans\nAnna/B-PER lebt in Köln/B-LOC",
        "tokens in column 2, tags in column 3 of 4; column 1 counts the tokens",
    ),
    (
        "02_germeval/nocomment.tsv",
        {"tag_column": "-1"},
        "Aufgrund der FC Bayern/B-LOC Fans\nAnna lebt in Köln",
        "tags in column 4",
    ),
    (
        "03_hindi6/train.txt",
        {"tag_column": "4"},
        "गांधी/B-PERSON जी/I-PERSON औसत",
        "tokens in column 1, tags in column 4 of 6",
    ),
    (
        "03_hindi6/train.txt",
        {"tag_column": "-2", "token_column": "1"},
        "गांधी/B-INDIVIDUAL जी/I-INDIVIDUAL औसत",
        "column 5",
    ),
    ("04_multiconer/train.conll", {}, "anna/B-Artist berg/I-Artist sang\noslo/B-HumanSettlement", "2 comment lines"),
    ("04_multiconer/hashtoken.conll", {}, "# anna/B-Artist sang\noslo/B-HumanSettlement # 3", "column 4 of 4"),
    ("13_encoding/utf16.conll", {}, "Frau Müller/B-PER wohnt in Köln/B-LOC .", "column 2 of 2"),
    ("14_no_prefix/train.txt", {}, "Test\nLoad\nHi John/B-NAME", "neighbours of one type are one entity"),
    (
        "16_csv/ner_dataset.csv",
        {},
        "Crowds in Oslo/B-geo ,\nDanish/B-gpe sailors",
        "column 2 (Word), tags in column 4 (Tag)",
    ),
    ("16_csv/two.csv", {}, "London/B-geo calls\nAnna/B-per", "column 2 (Tag)"),
    (
        "17_b_o/train.conll",
        {},
        "Titanik je ve Atlantiku/B-LOC .\nAnna/B-PER Berg/I-PER je",
        "3 tags B-O, I-O were read as O",
    ),
    ("18_other_schemes/bioes_onlyBIE.conll", {}, "Anna/B-PER Berg/I-PER sang in Oslo/B-LOC", "1 entities of one token"),
    ("18_other_schemes/dash.conll", {}, "Anna/B-PER Berg/I-PER sang-in/? Oslo/B-LOC", "1 tokens have the tag -"),
    ("18_other_schemes/ioe2.conll", {}, "Anna/B-PER Berg/I-PER sang in Oslo/B-LOC", ""),
    ("18_other_schemes/pipes.iob", {}, "Anna/B-PER Berg/I-PER sang\nOslo/B-LOC", "tags in column 3 of 3"),
    ("18_other_schemes/suffix.conll", {}, "Anna/B-PER Berg/I-PER sang", "spelt PER-B"),
    ("18_other_schemes/underscore.conll", {}, "Anna/B-PER Berg/I-PER sang", "spelt B_PER"),
]


@pytest.mark.parametrize(("file", "options", "expected", "said"), READ, ids=lambda value: str(value)[:40])
def test_cases_are_read(file: str, options: dict[str, str], expected: str, said: str) -> None:
    documents, notes = read(CASES / file, options)
    assert documents == expected
    assert said in notes


REFUSED: list[tuple[str, dict[str, str], str]] = [
    (
        "02_germeval/nocomment.tsv",
        {},
        ": column 3 (LOC, ORG, PER) and column 4 (LOC) could both hold the entities: choose one with --tag-column 3 or "
        "--tag-column 4",
    ),
    (
        "03_hindi6/train.txt",
        {},
        ": column 4 (PERSON) and column 5 (INDIVIDUAL) could both hold the entities: choose one with --tag-column 4 or "
        "--tag-column 5",
    ),
    (
        "03_hindi6/train.txt",
        {"tag_column": "7"},
        ": --tag-column 7, but a row has 6 columns: expected a number from 1, or negative from the end",
    ),
    (
        "03_hindi6/train.txt",
        {"tag_column": "NER"},
        ": --tag-column NER, expected a number from 1 to 6, from the end -1 to -6; its columns have no names",
    ),
    (
        "03_hindi6/train.txt",
        {"tag_column": "4", "token_column": "-3"},
        ": column 4 is said to hold tokens and tags, expected two columns",
    ),
    (
        "10_label_space/export.conll",
        {},
        ":4: 4 columns, expected 5 as in line 2; line 2 has the tag 'B-Heading 2': a blank in a type's name needs tabs "
        "between the columns: put them there, or rename the type",
    ),
]


@pytest.mark.parametrize(("file", "options", "message"), REFUSED)
def test_cases_are_refused(file: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(CorpusError) as error:
        read_file(CASES / file, ReadingOptions(**options))
    assert str(error.value) == f"{CASES / file}{message}"


@pytest.mark.skipif(not DATA.is_dir(), reason="no folder shared/data beside the project")
def test_conll2003_needs_no_options() -> None:
    contents = read_file(DATA / "conll2003" / "eng.testa")
    assert len(contents.documents) == 216
    assert contents.columns == "tokens in column 1, tags in column 4 of 4"
