"""Column files and their neighbours that are refused, and in which words."""

from pathlib import Path

import pytest

from spacy_bert_ner.data import CorpusError
from spacy_bert_ner.data.formats import read_file
from tests.data.columns import COREF, word

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
