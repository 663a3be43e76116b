"""Rows of tokens as people have them: each kind of `tests/data/cases`, and its neighbours."""

from pathlib import Path

import pytest

from spacy_bert_ner.data import CorpusError, Document, Sentence
from spacy_bert_ner.data.formats import read_file
from spacy_bert_ner.data.reading_options import ReadingOptions
from spacy_bert_ner.tags import SCHEMES

CASES = Path(__file__).parent / "cases"
DATA = Path(__file__).parents[2].parent / "shared" / "data"


def show(documents: list[Document]) -> str:
    """Spell documents out: a line each, | between sentences, tags at tokens, ? at those of which nothing is known."""
    return "\n".join(" | ".join(map(spell, document.sentences)) for document in documents)


def spell(sentence: Sentence) -> str:
    tags = SCHEMES["BIO"].encode(sentence.entities, len(sentence.tokens))
    marks = ["?" if i in sentence.unknown else tag for i, tag in enumerate(tags)]
    return " ".join(t if mark == "O" else f"{t}/{mark}" for t, mark in zip(sentence.tokens, marks, strict=True))


def read(path: Path, options: dict[str, str]) -> tuple[str, str]:
    """RETURNS (tuple[str, str]): The documents, and what the notes say."""
    contents = read_file(path, ReadingOptions(**options))  # type: ignore[arg-type]
    notes = "\n".join(line for kind, places in contents.notes.lines() for line in [kind, *places])
    return show(contents.documents), notes


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
        read_file(CASES / file, ReadingOptions(**options))  # type: ignore[arg-type]
    assert str(error.value) == f"{CASES / file}{message}"


def word(id: object, form: str, misc: str) -> str:
    return f"{id}\t{form}\t_\tX\t_\t_\t_\t_\t_\t{misc}\n"


COREF = "# global.Entity = eid-etype-head-other\n"
# Name of the file, its text, options, documents, what the notes say.
WRITTEN: dict[str, tuple[str, str | bytes, dict[str, str], str, str]] = {
    "GermEval's comments, a nested column of O": (
        "dev.tsv",
        "#\thttp://de.wikipedia.org/wiki/X\t[2009-10-17]\n1\t#\tO\tO\n2\tFC-Fan\tB-ORGpart\tO\n",
        {},
        "# FC-Fan/B-ORGpart",
        "tokens in column 2, tags in column 3 of 4",
    ),
    "numbers from 0": (
        "x.tsv",
        "0\tAda\tB-PER\n1\tran\tO\n\n0\tOslo\tB-LOC\n",
        {},
        "Ada/B-PER ran\nOslo/B-LOC",
        "counts",
    ),
    "numbers throughout": (
        "x.tsv",
        "1\tAda\tB-PER\n2\tran\tO\n\n3\tOslo\tB-LOC\n",
        {},
        "Ada/B-PER ran\nOslo/B-LOC",
        "counts",
    ),
    "numbers that are tokens": ("x.txt", "1 CD O\n2 CD O\n\nAda N B-PER\n", {}, "1 2\nAda/B-PER", "tokens in column 1"),
    "numbers with gaps": (
        "x",
        "1\tAda\tB-PER\n2\tran\tO\n4\tfar\tO\n",
        {},
        "Ada/B-PER ran far",
        "column 1 counts the tokens",
    ),
    "numbers that begin again within a block": (
        "x",
        "1 Ada B-PER\n2 ran O\n3 . O\n1 Li B-PER\n2 sat O\n",
        {},
        "Ada/B-PER ran . Li/B-PER sat",
        "column 1 counts",
    ),
    "numbers over a blank line": (
        "x",
        "1 Ada B-PER\n2 ran O\n\n3 off O\n\n1 Li B-PER\n2 sat O\n",
        {},
        "Ada/B-PER ran\noff\nLi/B-PER sat",
        "column 1 counts",
    ),
    "a number in the only row": ("x", "1\tAda\tB-PER\n", {}, "Ada/B-PER", "column 1 counts"),
    "numbers with a dot": ("x", "1. Ada B-PER\n2. ran O\n", {}, "Ada/B-PER ran", "column 1 counts"),
    "numbers in brackets": ("x", "[1] Ada B-PER\n[2] ran O\n", {}, "Ada/B-PER ran", "column 1 counts"),
    "numbers of three levels": ("x", "d1.1.1 Ada B-PER\nd1.1.2 ran O\n", {}, "Ada/B-PER ran", "column 1 counts"),
    "numbers of sentence and token": (
        "x",
        "1-1\tAda\tB-PER\n1-2\tran\tO\n\n2-1\tLi\tB-PER\n",
        {},
        "Ada/B-PER ran\nLi/B-PER",
        "column 1 counts",
    ),
    "numbers of sentences": (
        "x",
        "1 Ada B-PER\n1 ran O\n\n2 Li B-PER\n2 sat O\n",
        {},
        "Ada/B-PER ran\nLi/B-PER sat",
        "column 1 holds an id for each sentence",
    ),
    "ids of sentences": (
        "x",
        "s1 Ada B-PER\ns1 ran O\n\ns2 Li B-PER\n",
        {},
        "Ada/B-PER ran\nLi/B-PER",
        "column 1 holds an id",
    ),
    "ids of documents, CSV": (
        "x",
        "doc1,Ada,B-PER\ndoc1,ran,O\n\ndoc1,Li,B-PER\n\ndoc2,Bo,B-PER\n",
        {},
        "Ada/B-PER ran\nLi/B-PER\nBo/B-PER",
        "column 1 holds an id",
    ),
    "an id in a sentence's first row": (
        "x",
        "Sentence: 1,Ada,N,B-PER\n,ran,V,O\n\nSentence: 2,Li,N,B-PER\n,sat,V,O\n",
        {},
        "Ada/B-PER ran\nLi/B-PER sat",
        "column 1 holds an id",
    ),
    "two columns of numbers": (
        "x",
        "0\t1\tAda\tB-PER\n0\t2\tran\tO\n\n1\t1\tLi\tB-PER\n1\t2\tsat\tO\n",
        {},
        "Ada/B-PER ran\nLi/B-PER sat",
        "column 1 holds an id for each sentence; column 2 counts the tokens",
    ),
    "two columns of numbers, one sentence": ("x", "0 1 Ada B-PER\n0 2 ran O\n", {}, "Ada/B-PER ran", "column 2 counts"),
    "a year": ("x", "2019 CD O\n", {}, "2019", "tokens in column 1, tags in column 3 of 3"),
    "years": ("x", "2019 NUM O\n2020 NUM O\n\n2021 NUM B-DATE\n", {}, "2019 2020\n2021/B-DATE", "tokens in column 1"),
    "numbers and their lemmas": ("x", "2019 2019 num O\n3.5 3.5 num O\n", {}, "2019 3.5", "tokens in column 1"),
    "a number for a token behind an index": (
        "x",
        "1 2019 CD B-DATE\n2 12 CD I-DATE\n",
        {},
        "2019/B-DATE 12/I-DATE",
        "tokens in column 2",
    ),
    "words that are said again": (
        "x",
        "ha UH O\nha UH O\n\nOslo NNP B-LOC\n",
        {},
        "ha ha\nOslo/B-LOC",
        "tokens in column 1",
    ),
    "numbers that are tokens, as said": ("x", "7 Ada B-PER\n", {"token_column": "1"}, "7/B-PER", "column 1"),
    "Universal NER": (
        "x.iob2",
        "# text = Where is Vitamin O\n1\tWhere\tO\t-\t-\n2\tOslo\tB-LOC\t-\t-\n",
        {},
        "Where Oslo/B-LOC",
        "tokens in column 2, tags in column 3 of 5",
    ),
    "tags before tokens": (
        "x.bio",
        "O\twhat\nB-ACTOR\ttom\nI-ACTOR\thanks\n",
        {},
        "what tom/B-ACTOR hanks/I-ACTOR",
        "tags in column 1",
    ),
    "an unused column of O": ("x.txt", "Ada NNP O B-PER\nran V O O\n", {}, "Ada/B-PER ran", "tags in column 4"),
    "the German phrases": (
        "x.txt",
        "Oslo Oslo NE I-NC I-LOC\nkommt kommen V I-VC O\n",
        {},
        "Oslo/B-LOC kommt",
        "column 5",
    ),
    "no entity": ("x.txt", "In NN I-PP O\nOslo NN I-NP O\n", {}, "In Oslo", "column 4"),
    "phrases, wanted": (
        "x.txt",
        "the DT B-NP\ndog NN I-NP\nran V O\n",
        {"tag_column": "3"},
        "the/B-NP dog/I-NP ran",
        "",
    ),
    "a blank in a type between tabs": ("x.txt", "New York\tB-Head 2\nran\tO\n", {}, "New York/B-Head 2 ran", ""),
    "a blank for a token": (
        "x.txt",
        "Ada\tB-PER\n \tO\n\tO\nran\tO\n\n \tO\n",
        {},
        "Ada/B-PER ran",
        "3 rows with a blank",
    ),
    "GENIA's abstracts": (
        "x.iob2",
        "###MEDLINE:1\n\nIL-2\tB-DNA\n\nx\tO\n\n###MEDLINE:2\n\ny\tO\n",
        {},
        "IL-2/B-DNA | x\ny",
        "",
    ),
    "blanks beside tabs": (
        "x.txt",
        "EU NNP\tB-ORG\nx  y\t O \t\n\nBonn\tN B-LOC  \n",
        {},
        "EU/B-ORG x\nBonn/B-LOC",
        "of 3",
    ),
    "CR alone": ("x.txt", "Ada B-PER\rran O\r\rOslo B-LOC\r", {}, "Ada/B-PER ran\nOslo/B-LOC", ""),
    "UTF-16, big end first": ("x.txt", b"\xfe\xff" + "é B-PER\n".encode("utf-16-be"), {}, "é/B-PER", ""),
    "a header between tabs": ("x.tsv", 'token\tlabel\nAda\tB-PER\n"\tO\n\nran\tO\n', {}, 'Ada/B-PER "\nran', "(token)"),
    "CSV of pandas": (
        "x.csv",
        ",Sentence #,Word,POS,Tag\n0,Sentence: 1,Ada,N,B-per\n1,Sentence: 1,ran,V,O\n2,Sentence: 2,Oslo,N,B-geo\n",
        {},
        "Ada/B-per ran\nOslo/B-geo",
        "column 3 (Word)",
    ),
    "CSV with semicolons and documents": (
        "x.csv",
        '\ufeffdoc_id;sent_id;token;ner\r\na;1;Ada;B-PER\r\na;2;"x;y";O\r\nb;2;Oslo;B-LOC\r\n',
        {},
        "Ada/B-PER | x;y\nOslo/B-LOC",
        "",
    ),
    "commas between tabs": (
        "x",
        "1\t,\tB-X\t-\n2\t,\tI-X\t-\n",
        {},
        ",/B-X ,/I-X",
        "tokens in column 2, tags in column 3",
    ),
    "a comma before a tab": ("x", ",\tO\n", {}, ",", "tokens in column 1, tags in column 2"),
    "a comma before a blank": ("x", ", O\n", {}, ",", "tokens in column 1, tags in column 2"),
    "CSV without a header": ("x.csv", 'Ada,B-PER\n"said, ",O\n\n",",O\n', {}, "Ada/B-PER said,\n,", ""),
    "columns by name": (
        "x.csv",
        "text,Word,tag,ner\nx,Ada,B-P1,B-P2\n",
        {"token_column": "Word", "tag_column": "ner"},
        "Ada/B-P2",
        "",
    ),
    "pipes as columns": ("x.txt", "Ada|NNP|B-PER\nran|V|O\n\n||S|O\n", {}, "Ada/B-PER ran\n|", ""),
    "a hash with a pipe": ("x.iob", "#|O\n\nAda|B-PER ran|O\n", {}, "#\nAda/B-PER ran", "column 2 of 2"),
    "a hash with pipes in columns": ("x.txt", "#|N|O\nAda|NNP|B-PER\n", {}, "# Ada/B-PER", "column 3 of 3"),
    "a comment with a pipe": ("x.txt", "# a|b\n#a|b\nAda|B-PER\nran|O\n", {}, "Ada/B-PER ran", "2 comment lines"),
    "pipes behind a hash": ("x.iob", "#1|N|O Ada|N|B-PER\n#|N|O\n", {}, "#1 Ada/B-PER\n#", "column 3 of 3"),
    "colons": ("x.txt", "Ada B:PER\nran O\n", {}, "Ada/B-PER ran", "spelt B:PER"),
    "suffixes with underscores": ("x.txt", "Ada PER_B\nLi PER_I\nran O\n", {}, "Ada/B-PER Li/I-PER ran", "spelt PER_B"),
    "BMES": (
        "x.txt",
        "中 B-LOC\n华 M-LOC\n国 E-LOC\n人 S-PER\n好 O\n",
        {},
        "中/B-LOC 华/I-LOC 国/I-LOC 人/B-PER 好",
        "",
    ),
    "few-shot types": ("x.txt", "Ada\tperson-actor\nran\tO\n", {}, "Ada/B-person-actor ran", "neighbours"),
    "types without O": ("x.txt", "Ada PER\nLi PER\nOslo LOC\n", {"format": "io"}, "Ada/B-PER Li/I-PER Oslo/B-LOC", ""),
    "no types": ("x.txt", "Ada\tB\nLi\tI\nran\tO\n", {"label": "PER"}, "Ada/B-PER Li/I-PER ran", "they name no type"),
    "contradictions, by conlleval": (
        "x.txt",
        "Ada B-PER\nran O\nOslo S-LOC\n",
        {"format": "iob"},
        "Ada/B-PER ran Oslo/B-LOC",
        "",
    ),
    "IOE1": ("x.txt", "a I-X\nb E-X\nc I-X\nd O\n", {}, "a/B-X b/I-X c/B-X d", ""),
    "a dash beside O": ("x.txt", "Ada B-PER\nran O\nx -\n", {}, "Ada/B-PER ran x/?", "1 tokens have the tag -"),
    "CoNLL-U: words, empty words, documents": (
        "x.conllu",
        "# newdoc id = a\n# text = Vitamin O\n"
        + word(1, "Ada", "NE=B-PER|SpaceAfter=No")
        + word("2-3", "del", "_")
        + word(2, "de", "NE=O")
        + word(3, "el", "NE=O")
        + word("3.1", "ghost", "_")
        + "\n# newdoc id = b\n"
        + word(1, "Rio", "NE=B-LOC")
        + word("2-3", "do", "_")
        + word(2, "de", "NE=I-LOC")
        + word(3, "o", "NE=I-LOC")
        + word(4, "Sul", "NE=I-LOC"),
        {},
        "Ada/B-PER del\nRio/B-LOC do/I-LOC Sul/I-LOC",
        "1 empty words",
    ),
    "CoNLL-U: an entity cuts a token": (
        "x.conllu",
        word("1-2", "alBanco", "_") + word(1, "al", "NE=O") + word(2, "Banco", "NE=B-ORG") + word(3, "Uno", "NE=I-ORG"),
        {},
        "alBanco/? Uno/?",
        "'Banco Uno' (ORG); tokens there: alBanco | Uno",
    ),
    "CoNLL-U: a tag on a token of several words": (
        "x.conllu",
        word("1-2", "AnnaLee", "NE=B-PER") + word(1, "Anna", "_") + word(2, "Lee", "_") + word(3, "Berg", "NE=I-PER"),
        {},
        "AnnaLee/B-PER Berg/I-PER",
        "tags in NE= of MISC",
    ),
    "CoNLL-U: tags on tokens of several words alone": (
        "x.conllu",
        word("1-2", "AnnaLee", "NE=B-PER") + word(1, "Anna", "_") + word(2, "Lee", "_") + word(3, "ran", "_"),
        {},
        "AnnaLee/B-PER ran",
        "1 words without NE=",
    ),
    "CoNLL-U: a column of tags, of several words": (
        "x.conllu",
        word("1-2", "AnnaLee", "U-PER") + word(1, "Anna", "_") + word(2, "Lee", "_") + word(3, "ran", "O"),
        {},
        "AnnaLee/B-PER ran",
        "column 10",
    ),
    "CoNLL-U: a token and its words agree": (
        "x.conllu",
        word("1-2", "AnnaLee", "NE=U-PER") + word(1, "Anna", "NE=B-PER") + word(2, "Lee", "NE=L-PER"),
        {},
        "AnnaLee/B-PER",
        "",
    ),
    "CoNLL-U: a token and its words disagree": (
        "x.conllu",
        word("1-2", "AnnaLee", "NE=B-PER")
        + word(1, "Anna", "NE=B-LOC")
        + word(2, "Lee", "NE=I-LOC")
        + word(3, "Berg", "NE=I-PER")
        + word(4, "ran", "NE=O"),
        {},
        "AnnaLee/? Berg/? ran",
        ":1: 'AnnaLee' is B-PER, its words are B-LOC I-LOC",
    ),
    "CoNLL-U: a token is outside, its words are not": (
        "x.conllu",
        word("1-2", "AnnaLee", "NE=O") + word(1, "Anna", "NE=B-LOC") + word(2, "Lee", "NE=I-LOC") + word(3, "x", "_"),
        {},
        "AnnaLee/? x",
        "1 tokens of several words have a tag that their words contradict",
    ),
    "CorefUD: a token of several words": (
        "x.conllu",
        COREF
        + word("1-2", "AnnaLee", "Entity=(e1-person-1")
        + word(1, "Anna", "_")
        + word(2, "Lee", "_")
        + word("3-4", "BergBo", "Entity=e1)")
        + word(3, "Berg", "_")
        + word(4, "Bo", "_"),
        {},
        "AnnaLee/B-person BergBo/I-person",
        "",
    ),
    "CoNLL-U: tags of entities only": (
        "x.conllu",
        word(1, "Ada", "NER=B-PER") + word(2, "ran", "_"),
        {},
        "Ada/B-PER ran",
        "1 words without NER= in MISC count as O",
    ),
    "CoNLL-U: chosen among two": (
        "x.conllu",
        word(1, "Ada", "NE=B-A|name=B-B"),
        {"tag_column": "name"},
        "Ada/B-B",
        "name= of MISC",
    ),
    "CoNLL-U: a column of tags": (
        "x.conllu",
        word(1, "Ada", "B-PER") + word(2, "ran", "O"),
        {},
        "Ada/B-PER ran",
        "column 10",
    ),
    "CorefUD": (
        "x.conllu",
        COREF + word(1, "Ada", "Entity=(e1-person-1-x") + word(2, "Berg", "Entity=e1)") + word(3, "ran", "_"),
        {},
        "Ada/B-person Berg/I-person ran",
        "the mentions that Entity= in MISC marks, whether names or not",
    ),
    "CorefUD: nested": (
        "x.conllu",
        COREF
        + word(1, "the", "Entity=(e2-org-2")
        + word(2, "Oslo", "Entity=(e3-place-1)")
        + word(3, "Bank", "Entity=e2)")
        + word(4, "he", "Entity=(e1-person-1)"),
        {},
        "the/? Oslo/? Bank/? he/B-person",
        "2 entities overlap with others",
    ),
    "CorefUD: discontinuous": (
        "x.conllu",
        COREF
        + word(1, "Ada", "Entity=(e1[1/2]-person-1)")
        + word(2, "&", "_")
        + word(3, "Li", "Entity=(e1[2/2]-person-1)"),
        {},
        "Ada/? & Li/?",
        "'Ada Li' (person)",
    ),
}


@pytest.mark.parametrize(("name", "text", "options", "expected", "said"), WRITTEN.values(), ids=WRITTEN)
def test_neighbours_are_read(
    name: str, text: str | bytes, options: dict[str, str], expected: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    documents, notes = read(path, options)
    assert documents == expected
    assert said in notes


HEADER = ":1: line 1 looks like a header "
WRONG: dict[str, tuple[str, str | bytes, str]] = {
    "phrases alone": ("x.txt", "the DT B-NP\nran V B-VP\n", "holds phrases (NP, VP) and no column entities"),
    "a mistake in one of two columns of tags": ("x.txt", "a B-X B-Y\nb O BY\nc O O\n", "could both hold the entities"),
    "CoNLL-U without tags": (
        "x.conllu",
        word(1, "Ada", "SpaceAfter=No"),
        "MISC, the last column, holds SpaceAfter, expected",
    ),
    "CoNLL-U with two": ("x.conllu", word(1, "Ada", "NE=B-A|name=B-B"), "NE= and name= of MISC could both be the tags"),
    "CoNLL-U, a row of it": ("x.conllu", word(1, "Ada", "NE=B-A") * 30 + "Ada\tB-X\n", ":31: 2 columns"),
    "CoNLL-U, a range from its end": ("x.conllu", word("2-1", "a", "_") + word(1, "a", "NE=O"), ":1: the token 2-1"),
    "CoNLL-U, an empty tag": ("x.conllu", word("1-2", "ab", "NE=") + word(1, "a", "NE=O"), "CoNLL-U without entities"),
    "coreference alone": ("x.conllu", word(1, "Ada", "Entity=(e1)"), ":1: the mention 'e1' has no type"),
    "a bracket that nothing opened": ("x.conllu", COREF + word(1, "A", "Entity=(e1-p-1)e2)"), ":2: closes 'e2'"),
    "a bracket that nothing closes": ("x.conllu", COREF + word(1, "A", "Entity=(e1-p-1"), ":2: opens 'e1'"),
    "sentences as rows": (
        "x.csv",
        "Sentence #,Sentence,POS,Tag\nSentence: 1,Ada ran,\"['N']\",\"['O']\"\n",
        "does not tell which column holds a token a row",
    ),
    "a quote that is open": (
        "x.csv",
        'word,tag\n",O\nx,O\n',
        ':2: this is no CSV: unexpected end of data; a cell that is a quote is """"',
    ),
    "a quote that closes late": ("x.csv", 'word,tag\n",O\n",O\n', ":2: "),
    "ragged CSV": ("x.csv", "word,tag\nAda,B-PER\na,b,O\n", ":3: 3 columns, expected 2 as the header names"),
    "CP1252": ("x.csv", "word,tag\ncafé,O\n".encode("cp1252"), ":2: byte 0xe9 at offset 12 is not UTF-8"),
    "UTF-16, cut": ("x.txt", "Ada B-PER\n".encode("utf-16")[:-1], "begins as UTF-16 but is damaged"),
    "OntoNotes": (
        "x.conll",
        "#begin document (a); part 000\na 0 0 In IN * - (GPE)\n",
        "this is CoNLL-2012 (OntoNotes)",
    ),
    "i2b2": ("x.con", 'c="coronary disease" 1:3 1:5||t="problem"\n', "this is i2b2's annotation without its text"),
    "XML": ("x.xml", "<?xml version='1.0'?>\n<a/>\n", "this is XML, expected brat"),
    "zip": ("x.xlsx", b"PK\x03\x04\x00", "this is a zip archive, or an Excel file"),
    "a header in other words": ("x", "id\tform\tgold_ner\n1\tAda\tB-PER\n2\tran\tO\n", HEADER + "(id, form, gold_ner)"),
    "a header in another language": ("x", "Wort\tEntität\nAda\tB-PER\nran\tO\n", HEADER + "(Wort, Entität), as"),
    "a header in other words, CSV": ("x", "Wort,Entität\nAda,B-PER\nran,O\n", HEADER + "(Wort, Entität), as"),
    "a header over one row": ("x", "Wort;Entität\nAda;B-PER\n", HEADER + "(Wort, Entität), as"),
    "a header over a blank line": ("x", "Wort X Entität\n\nAda N B-PER\nran V O\n", HEADER),
    "a header over types": ("x", "Wort NER\nAda PER\nran O\n", HEADER + "(Wort, NER), as 'NER' is no tag"),
    "two rows without a tag": ("x", "Wort Entität\nAda B-PER\nran V\n", ":1: unknown tag 'Entität'"),
    "offsets": (
        "x",
        "0\t3\tAda\tB-PER\n4\t7\tran\tO\n8\t9\t.\tO\n",
        "say --token-column 3 if the tokens are 'Ada' and so on, or --token-column 2",
    ),
    "offsets of one row": ("x", "0\t3\tAda\tB-PER\n", "say --token-column 3"),
    "numbers from the middle": (
        "x",
        "57 Ada B-PER\n58 ran O\n",
        "looks like numbers or ids, no tokens, and nothing tells for certain: say --token-column 2",
    ),
    "ids of sentences, CSV without blank lines": (
        "x",
        "1,Ada,B-PER\n1,ran,O\n2,Li,B-PER\n2,sat,O\n",
        "a first line that names the columns",
    ),
    "ids of documents, CSV without blank lines": (
        "x",
        "doc1,Ada,B-PER\ndoc1,ran,O\ndoc2,Li,B-PER\ndoc2,sat,O\n",
        "say --token-column 2",
    ),
    "one id throughout": ("x", "doc1 Ada B-PER\ndoc1 ran O\n\ndoc1 Li B-PER\n", "say --token-column 2"),
    "a type called O": ("x.txt", "a B-O\nb O\n", "could be outside of all entities or of a type O"),
}


@pytest.mark.parametrize(("name", "text", "message"), WRONG.values(), ids=WRONG)
def test_neighbours_are_refused(name: str, text: str | bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CorpusError) as error:
        read_file(path)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))


@pytest.mark.skipif(not DATA.is_dir(), reason="no folder shared/data beside the project")
def test_conll2003_needs_no_options() -> None:
    contents = read_file(DATA / "conll2003" / "eng.train")
    assert len(contents.documents) == 946
    assert contents.columns == "tokens in column 1, tags in column 4 of 4"


def test_a_file_without_ends_of_sentences_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("a O\n" * 201, encoding="utf8")
    assert "one sentence of 201 tokens" in read(path, {})[1]
