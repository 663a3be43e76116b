"""Documents of sentences, and their conversion to spaCy's Doc and .spacy files."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.tags import Entity

if TYPE_CHECKING:
    from spacy.tokens import Doc
    from spacy.vocab import Vocab


class CorpusError(ValueError):
    """A corpus that cannot be read: says where, what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and its entities.

    tokens (tuple[str, ...]): At least one; none is empty.
    entities (tuple[Entity, ...]): In the order of the text, without overlaps, as token indices of this sentence: by
        construction no entity crosses its end.
    unknown (tuple[int, ...]): Indices of unannotated tokens.
    """

    tokens: tuple[str, ...]
    entities: tuple[Entity, ...]
    unknown: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """Consecutive sentences of one document.

    id (str): The source's id where it has one, else the document's number within its split.
    sentences (tuple[Sentence, ...]): At least one.
    """

    id: str
    sentences: tuple[Sentence, ...]


Splits: TypeAlias = dict[str, list[Document]]


def make_doc(document: Document, vocab: "Vocab", *, partial: bool = False) -> "Doc":
    """Make one Doc of a document: sentence starts set, every token inside or outside an entity.

    Spaces stay unknown, as corpora of tokens do not record them, and because `spacy.Corpus` keeps only the tokens of
    such documents: where spaces are known it tokenises the text again, and entities no longer align.

    partial (bool): Whether tokens outside of all entities are unannotated instead of outside.
    RETURNS (Doc): Its `has_unknown_spaces` is True.
    """
    from spacy.tokens import Doc, Span

    words = [token for sentence in document.sentences for token in sentence.tokens]
    starts: list[bool | int | None] = [i == 0 for sentence in document.sentences for i in range(len(sentence.tokens))]
    doc = Doc(vocab, words=words, spaces=None, sent_starts=starts)
    spans, unknown, offset = [], [], 0
    for sentence in document.sentences:
        spans += [Span(doc, offset + start, offset + end, label=label) for start, end, label in sentence.entities]
        unknown += [doc[offset + i : offset + i + 1] for i in sentence.unknown]
        offset += len(sentence.tokens)
    doc.set_ents(spans, missing=unknown, default="missing" if partial else "outside")
    return doc


def write_docs(documents: Iterable[Document], path: Path) -> None:
    """Write documents as a .spacy file, atomically: the same documents always give the same bytes.

    path (Path): The file; its folder is created where it is missing.
    """
    from spacy.vocab import Vocab

    vocab = Vocab()
    save_docs((make_doc(document, vocab) for document in documents), path)


def save_docs(docs: "Iterable[Doc]", path: Path) -> None:
    """Write Docs as a .spacy file, atomically.

    docs (Iterable[Doc]): With entities set.
    path (Path): The file; its folder is created where it is missing.
    """
    from spacy.tokens import DocBin

    docbin = DocBin(attrs=["ENT_IOB", "ENT_TYPE", "SENT_START"], docs=docs)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, docbin.to_bytes())
