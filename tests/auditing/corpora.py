"""A corpus of short documents, with some annotation broken: what the tests of audits share."""

from pathlib import Path

import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

PEOPLE = ("Jane", "Omar", "Zoe", "Ann", "Bob", "Eve")
CITIES = ("Paris", "London", "Oslo", "Lagos")


def make_doc(vocab: Vocab, person: str, city: str, at: int) -> Doc:
    words = [person, "lives", "near", city, "and", "works", "at", "IBM", f"since{at}", "."]
    doc = Doc(vocab, words=words, sent_starts=[i == 0 for i in range(len(words))])
    doc.set_ents([Span(doc, 0, 1, "PER"), Span(doc, 3, 4, "LOC"), Span(doc, 7, 8, "ORG")])
    return doc


def make_corpus(vocab: Vocab | None = None) -> list[Doc]:
    """RETURNS: A document for each person and city."""
    vocab = vocab or spacy.blank("en").vocab
    pairs = [(person, city) for person in PEOPLE for city in CITIES]
    return [make_doc(vocab, person, city, i) for i, (person, city) in enumerate(pairs)]


def save(path: Path, docs: list[Doc]) -> Path:
    DocBin(docs=docs).to_disk(path)
    return path
