"""Column files and their neighbours, written out: what each is read as."""

from pathlib import Path

import pytest

from tests.data.columns import COREF, read, word

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


def test_a_file_without_ends_of_sentences_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("a O\n" * 201, encoding="utf8")
    assert "one sentence of 201 tokens" in read(path, {})[1]
