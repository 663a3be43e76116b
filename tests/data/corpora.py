"""What the tests of corpora share: tiny corpora, written and read back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
from datasets import ClassLabel, Dataset, Features, List, Value
from spacy.training import Corpus

from spacy_bert_ner.data import (
    Document,
    Sentence,
)
from spacy_bert_ner.tags import SCHEMES, Entity

NLP = spacy.blank("en")
NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
TINY = "Ada B-PER\nran O\n\nParis B-LOC\n"


def write(folder: Path, content: str | bytes, name: str = "train.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def layout(documents: Sequence[Document]) -> list[list[list[str]]]:
    """Spell documents out: a list of sentences each, a sentence as tokens, entities in brackets."""
    return [[spell(sentence) for sentence in document.sentences] for document in documents]


def spell(sentence: Sentence) -> list[str]:
    tags = SCHEMES["BIO"].encode(sentence.entities, len(sentence.tokens))
    return [f"{token}/{tag}" if tag != "O" else token for token, tag in zip(sentence.tokens, tags, strict=True)]


def dataset(tokens: list[Any], tags: list[Any], tag: Any = None, **columns: list[Any]) -> Dataset:
    """Make a data set in memory; its tags are ClassLabel unless another feature is given."""
    features = {"tokens": List(Value("string")), "ner_tags": List(tag or ClassLabel(names=NAMES))}
    other = {name: Value("int64" if isinstance(values[0], int) else "string") for name, values in columns.items()}
    return Dataset.from_dict({"tokens": tokens, "ner_tags": tags, **columns}, features=Features({**features, **other}))


def tiny_dataset() -> Dataset:
    return dataset([["Ada", "ran"], ["Paris"]], [[1, 0], [3]])


ONE = [[["Ada/B-PER", "ran"], ["Paris/B-LOC"]]]
TWO = [[["Ada/B-PER", "ran"]], [["Paris/B-LOC"]]]
IOB = "--format iob reads them by conlleval's rules"
KNOWN = "expected O or PREFIX-LABEL, with a prefix of B, I (IOB), B, I, L, U (BILUO) or B, I, E, S (IOBES)"


def read_back(path: Path) -> list[tuple[Sentence, ...]]:
    """Read a .spacy file as training does, and check that the tokens to predict on are those of the corpus."""
    documents = []
    for example in Corpus(path)(NLP):
        doc = example.reference
        assert doc.has_unknown_spaces
        assert [token.text for token in example.predicted] == [token.text for token in doc]
        assert all(token.ent_iob_ in ("B", "I", "O") for token in doc)
        documents.append(
            tuple(
                Sentence(
                    tuple(token.text for token in sent),
                    tuple(Entity(ent.start - sent.start, ent.end - sent.start, ent.label_) for ent in sent.ents),
                )
                for sent in doc.sents
            )
        )
    return documents
