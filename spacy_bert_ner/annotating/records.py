"""Records of the input, their shards, and annotated shards."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# Approximate characters at which a shard ends, however few documents it has: they bound its memory.
MAX_SHARD_CHARACTERS = 500_000


@dataclass(frozen=True, slots=True)
class InputRecord:
    """A document of the input, before its text is extracted.

    place (str): FILE:LINE, FILE:#N for the Nth row of a table, or FILE.
    fields (dict[str, Any]): Its fields, the text among them.
    problem (str): Why it cannot be read; "" where it can.
    """

    place: str
    fields: dict[str, Any]
    problem: str = ""


class Positioned(NamedTuple):
    """A record and its end's approximate position in the input, in bytes."""

    record: InputRecord
    position: int


@dataclass(frozen=True)
class Shard:
    """Consecutive records, which are annotated together and written as one file.

    number (int): Its index among the shards.
    records (tuple[InputRecord, ...]): At least one.
    position (int): Approximate bytes of the input up to its end.
    """

    number: int
    records: tuple[InputRecord, ...]
    position: int

    def sha256(self) -> str:
        """RETURNS (str): A hash of the records alone."""
        digest = hashlib.sha256()
        for record in self.records:
            content = [record.place, record.fields, record.problem]
            digest.update(json.dumps(content, default=repr, sort_keys=True).encode("ascii"))
        return digest.hexdigest()


@dataclass
class AnnotatedShard:
    """A worker's result for a shard.

    content (bytes): Its file.
    documents, words (int): Annotated documents and their tokens.
    entities (Counter[str]): By type.
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
    """Group the input into shards, whose bounds depend on the input and the size alone.

    size (int): Maximum number of records of a shard.
    """
    run: list[InputRecord] = []
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
