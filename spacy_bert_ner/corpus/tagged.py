"""What both readers bring in, sentences with a tag per token, turned into documents with entities.

Three families of tags are told apart, file by file, by the prefixes that they alone use:

    token    Peter  Blackburn  visited  New    York   Paris
    IOB1     I-PER  I-PER      O        I-LOC  I-LOC  B-LOC    B- only where an entity follows another of its type
    IOB2     B-PER  I-PER      O        B-LOC  I-LOC  B-LOC
    BILUO    B-PER  L-PER      O        B-LOC  L-LOC  U-LOC
    IOBES    B-PER  E-PER      O        B-LOC  E-LOC  S-LOC

IOB1 and IOB2 (Ramshaw & Marcus 1995; Tjong Kim Sang & Veenstra 1999) need no telling apart: read by conlleval's
rules, every sequence of B- and I- means one thing. BILUO and IOBES are redundant: what contradicts itself is an error.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from spacy_bert_ner.corpus.documents import CorpusError, Document, Sentence
from spacy_bert_ner.tags import OUTSIDE, read_entities

DOCSTART = "-DOCSTART-"
# Sentences to a document where nothing tells where documents end.
GROUP_SIZE = 10

_LAST = {"BILUO": "L", "IOBES": "E"}
_SINGLE = {"BILUO": "U", "IOBES": "S"}
_OWNER = {"L": "BILUO", "U": "BILUO", "E": "IOBES", "S": "IOBES"}
_PREFIXES = frozenset("BILUES")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """A sentence as it was read.

    tokens (tuple[str, ...]): Its tokens.
    tags (tuple[str, ...]): One tag per token, each of them checked by `is_tag`.
    document (str | None): Id of its document; None where the source tells none.
    source (str): The file it stands in, or whatever else a user knows it by.
    at (int): The line of its first token, counted from 1, or its row, counted from 0 as `dataset[row]` does.
    is_row (bool): Whether `at` is a row: then all tokens share it, else each has its own line.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    document: str | None
    source: str
    at: int
    is_row: bool

    def where(self, token: int) -> str:
        """Name a token's place in an error message."""
        if self.is_row:
            return f"{self.source}: row {self.at}, token {token}"
        return f"{self.source}:{self.at + token}"


@lru_cache(maxsize=4096)
def is_tag(tag: str) -> bool:
    """Say whether a tag is `O` or a known prefix and a label."""
    prefix, _, label = tag.partition("-")
    return tag == OUTSIDE or (prefix in _PREFIXES and bool(label))


def unknown_tag(where: str, tag: object) -> CorpusError:
    """Make the error for what `is_tag` refuses."""
    expected = "O or PREFIX-LABEL, with a prefix of B, I (IOB), B, I, L, U (BILUO) or B, I, E, S (IOBES)"
    return CorpusError(f"{where}: unknown tag {tag!r}, expected {expected}")


def make_documents(sentences: Sequence[TaggedSentence], source: str) -> list[Document]:
    """Read entities off the tags and gather sentences into documents.

    sentences (Sequence[TaggedSentence]): All sentences of a split, in order.
    source (str): What the log calls the split.
    RETURNS (list[Document]): One per run of sentences of one document, or per ten sentences where none has an id.
    RAISES: CorpusError where tags contradict each other.
    """
    _check_scheme(sentences)
    if all(sentence.document is None for sentence in sentences):
        groups = [sentences[start : start + GROUP_SIZE] for start in range(0, len(sentences), GROUP_SIZE)]
        documents = [Document(str(i), tuple(map(_make_sentence, group))) for i, group in enumerate(groups)]
        logger.warning(
            "%s: nothing tells where documents end, so its %d sentences are grouped by %d into %d documents",
            *(source, len(sentences), GROUP_SIZE, len(documents)),
        )
        return documents
    runs = groupby(sentences, key=lambda sentence: sentence.document)
    documents = [Document(str(id), tuple(map(_make_sentence, run))) for id, run in runs]
    again = len(documents) - len({document.id for document in documents})
    if again:
        logger.warning("%s: %d times a document id comes back later; each run is a document of its own", source, again)
    return documents


def _make_sentence(sentence: TaggedSentence) -> Sentence:
    return Sentence(sentence.tokens, tuple(read_entities(sentence.tags)))


def _check_scheme(sentences: Sequence[TaggedSentence]) -> None:
    """Check the tags of a split whose prefixes say that it is BILUO or IOBES; IOB needs no check."""
    first: tuple[str, str, str] | None = None
    for where, tag, scheme in _scheme_tags(sentences):
        if first is None:
            first = where, tag, scheme
        elif scheme != first[2]:
            raise CorpusError(
                f"{where}: tag {tag!r} ({scheme}) where {first[0]} has {first[1]!r} ({first[2]}), expected one scheme"
            )
    if first is not None:
        where, tag, scheme = first
        for sentence in sentences:
            _check_sequence(sentence, scheme, f"{scheme} tags, as {where} has {tag!r}")


def _scheme_tags(sentences: Sequence[TaggedSentence]) -> Iterator[tuple[str, str, str]]:
    """Yield place, tag and scheme of each tag that belongs to one scheme alone."""
    for sentence in sentences:
        for i, tag in enumerate(sentence.tags):
            scheme = _OWNER.get(tag[0])
            if scheme is not None:
                yield sentence.where(i), tag, scheme


def _check_sequence(sentence: TaggedSentence, scheme: str, reason: str) -> None:
    outside = f"O, B- or {_SINGLE[scheme]}-"
    expected, label, before = outside, "", ""
    for i, tag in enumerate(sentence.tags):
        prefix, _, this = tag.partition("-")
        legal = prefix in ("I", _LAST[scheme]) and this == label if label else prefix in (OUTSIDE, "B", _SINGLE[scheme])
        if not legal:
            place = f"after {before!r}" if before else "at the start of a sentence"
            raise CorpusError(f"{sentence.where(i)}: tag {tag!r} {place}, expected {expected} ({reason})")
        label = this if prefix in ("B", "I") else ""
        expected = f"I-{label} or {_LAST[scheme]}-{label}" if label else outside
        before = tag
    if label:
        where = sentence.where(len(sentence.tags) - 1)
        raise CorpusError(f"{where}: the sentence ends after {before!r}, expected {expected} to follow ({reason})")
