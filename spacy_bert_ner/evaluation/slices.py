"""Figures for parts of a corpus: for which entities is the pipeline good, for which not?

A slice is a property of an entity's place and type, so that it holds for gold and predicted entities alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spacy.tokens import Doc

from spacy_bert_ner.tags import Entity

from .counts import Counts, count_entities
from .document_records import TokenRecord

Strings = dict[str, set[str]]


@dataclass(frozen=True)
class Slicing:
    """One way to slice a corpus.

    key (str): Its name in JSON.
    title (str): Its name for readers.
    names (tuple[str, ...]): The slices, in their order.
    place (Callable[[TokenRecord, Entity], str | None]): Gives an entity's slice; None where it is in none.
    missing (str): Why there is nothing to see, where there is not.
    """

    key: str
    title: str
    names: tuple[str, ...]
    place: Callable[[TokenRecord, Entity], str | None]
    missing: str = ""


def strings_of(train: Sequence[Doc]) -> Strings:
    """Collect entity strings. RETURNS (Strings): Each string, its tokens joined by spaces, to its types."""
    strings: Strings = {}
    for doc in train:
        for ent in doc.ents:
            strings.setdefault(" ".join(token.text for token in ent), set()).add(ent.label_)
    return strings


def slicings(records: Sequence[TokenRecord], train: Strings | None) -> list[Slicing]:
    """List the ways to slice a corpus.

    records (Sequence[TokenRecord]): The documents.
    train (Strings | None): The entity strings of the training data, where they are known.
    RETURNS (list[Slicing]): The ways, with a reason where one cannot be taken.
    """
    no_train = "" if train is not None else "needs the training data: give --train"
    no_sentences = "" if any(record.sentences for record in records) else "the corpus has no sentence starts"
    bands = (("1-5 tokens", 5), ("6-15 tokens", 15), ("16-30 tokens", 30), ("31 tokens or more", None))
    seen = ("seen with this type", "seen with another type only", "unseen")
    lengths = ("1 token", "2 tokens", "3 tokens", "4 tokens or more")
    capitals = ("all-caps sentence", "other sentence")
    mentions = ("first mention", "later mention")
    return [
        Slicing("seen", "Entity string in the training data", seen, lambda r, e: _seen(r, e, train or {}), no_train),
        Slicing("length", "Length of the entity", lengths, lambda r, e: lengths[min(e.end - e.start, 4) - 1]),
        Slicing("mention", "Mention in the document", mentions, _mention),
        Slicing("capitals", "Capitals", capitals, lambda r, e: capitals[not _all_caps(r, e)], no_sentences),
        Slicing(
            "sentence_length",
            "Length of the sentence",
            tuple(name for name, _ in bands),
            lambda r, e: next((name for name, top in bands if top is None or _sentence_length(r, e) <= top), None),
            no_sentences,
        ),
    ]


def count_slices(records: Sequence[TokenRecord], slicing: Slicing) -> Counts:
    """RETURNS (Counts): Entities by slice; no groups where the slicing cannot be taken."""
    names = () if slicing.missing else slicing.names
    return count_entities(records, names, lambda i, entity: slicing.place(records[i], entity) if names else None)


def _seen(record: TokenRecord, entity: Entity, train: Strings) -> str:
    types = train.get(record.text(entity))
    if types is None:
        return "unseen"
    return "seen with this type" if entity.label in types else "seen with another type only"


def _mention(record: TokenRecord, entity: Entity) -> str:
    """Is it the first time that these words, in whatever case, stand in the document?"""
    words = record.folded
    name = words[entity.start : entity.end]
    start = -1
    while True:
        start = words.index(name[0], start + 1)
        if words[start : start + len(name)] == name:
            return "first mention" if start == entity.start else "later mention"


def _sentence(record: TokenRecord, entity: Entity) -> tuple[int, int]:
    return record.sentence_of[entity.start] if record.sentence_of else (0, len(record.words))


def _all_caps(record: TokenRecord, entity: Entity) -> bool:
    """A single word in capitals is no sentence in capitals: two words with letters are the least."""
    start, end = _sentence(record, entity)
    words = [word for word in record.words[start:end] if any(map(str.isalpha, word))]
    return len(words) > 1 and not any(word != word.upper() for word in words)


def _sentence_length(record: TokenRecord, entity: Entity) -> int:
    start, end = _sentence(record, entity)
    return end - start
