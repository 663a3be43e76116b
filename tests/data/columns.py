"""Column files as text: what the tests of columns share."""

from pathlib import Path

from spacy_bert_ner.data import Document, Sentence
from spacy_bert_ner.data.formats import read_file
from spacy_bert_ner.data.reading_options import ReadingOptions
from spacy_bert_ner.tags import SCHEMES


def show(documents: list[Document]) -> str:
    """Spell documents out: a line each, | between sentences, tags at tokens, ? at those of which nothing is known."""
    return "\n".join(" | ".join(map(spell, document.sentences)) for document in documents)


def spell(sentence: Sentence) -> str:
    tags = SCHEMES["BIO"].encode(sentence.entities, len(sentence.tokens))
    marks = ["?" if i in sentence.unknown else tag for i, tag in enumerate(tags)]
    return " ".join(t if mark == "O" else f"{t}/{mark}" for t, mark in zip(sentence.tokens, marks, strict=True))


def read(path: Path, options: dict[str, str]) -> tuple[str, str]:
    """RETURNS (tuple[str, str]): The documents, and what the notes say."""
    contents = read_file(path, ReadingOptions(**options))
    notes = "\n".join(line for kind, places in contents.notes.lines() for line in [kind, *places])
    return show(contents.documents), notes


def word(id: object, form: str, misc: str) -> str:
    return f"{id}\t{form}\t_\tX\t_\t_\t_\t_\t_\t{misc}\n"


COREF = "# global.Entity = eid-etype-head-other\n"
