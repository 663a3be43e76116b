"""What is read and what comes of it: records of the input, their shards, and annotated shards."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# Characters, roughly, at which a shard ends, however few documents it has: it bounds the memory that a shard takes.
MAX_SHARD_CHARACTERS = 500_000


@dataclass(frozen=True, slots=True)
class Record:
    """A document of the input, before its text is looked at.

    place (str): FILE:LINE, FILE:#N for the Nth row of a table, or FILE.
    fields (dict[str, Any]): What the input holds of it, the text among it.
    problem (str): Why it cannot be read; "" where it can.
    """

    place: str
    fields: dict[str, Any]
    problem: str = ""


class Positioned(NamedTuple):
    """A record and how far the input has been read.

    record (Record): The record.
    position (int): Bytes of the input up to its end, roughly.
    """

    record: Record
    position: int


@dataclass(frozen=True)
class Shard:
    """A run of the input's records, which are annotated together and written as one file.

    number (int): Its place in the order of shards.
    records (tuple[Record, ...]): At least one.
    position (int): Bytes of the input up to its end, roughly.
    """

    number: int
    records: tuple[Record, ...]
    position: int

    def sha256(self) -> str:
        """RETURNS (str): A hash of what the records hold, and of nothing else."""
        digest = hashlib.sha256()
        for record in self.records:
            content = [record.place, record.fields, record.problem]
            digest.update(json.dumps(content, default=repr, sort_keys=True).encode("ascii"))
        return digest.hexdigest()


@dataclass
class AnnotatedShard:
    """What a worker makes of a shard.

    number (int): The shard's.
    content (bytes): The file that holds it.
    documents (int): How many documents are in it.
    words (int): Their tokens.
    entities (Counter[str]): Their entities by type.
    unscored (int): Entities without a confidence.
    failures (list[dict[str, Any]]): Of each document that failed: "place", "error" and "record", its fields.
    """

    number: int
    content: bytes = b""
    documents: int = 0
    words: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    unscored: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)


def make_shards(records: Iterable[Positioned], size: int) -> Iterator[Shard]:
    """Cut the input into shards: where they end depends on the input and the size alone.

    records (Iterable[Positioned]): The input.
    size (int): Maximum number of records of a shard.
    YIELDS (Shard): The shards, in order.
    """
    run: list[Record] = []
    number = characters = position = 0
    for record, after in records:
        length = sum(len(value) for value in record.fields.values() if isinstance(value, str))
        if run and (len(run) == size or characters + length > MAX_SHARD_CHARACTERS):
            yield Shard(number, tuple(run), position)
            run, characters, number = [], 0, number + 1
        run.append(record)
        characters += length
        position = after
    if run:
        yield Shard(number, tuple(run), position)
