"""The journal of a run: a line per finished shard, from which an interrupted run is resumed.

    {"number": 12, "input_sha256": "…", "sha256": "…", "position": 1, "documents": 500, …, "failures": [{"place": …}]}

A line counts once it is complete, and is written after the shard's file: what the journal names exists. A line with a
number alone revokes the shard.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from spacy_bert_ner.storage.files import replacing


@dataclass(frozen=True)
class FinishedShard:
    """A finished shard's line.

    number (int): Its index among the shards.
    input_sha256, sha256 (str): Of its records and of its file.
    position (int): Bytes of the input up to its end, approximately.
    documents, words, unscored, failed (int): See records.AnnotatedShard; how many failed.
    entities (dict[str, int]): By type.
    """

    number: int
    input_sha256: str
    sha256: str
    position: int
    documents: int
    words: int
    unscored: int
    failed: int
    entities: dict[str, int]


class Journal:
    """The finished shards, in memory and in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.shards: dict[int, FinishedShard] = {}
        # Each line's offset in the file: the failures can be larger than memory.
        self._offsets: dict[int, int] = {}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read a journal and truncate an incomplete last line. RETURNS (Journal): Empty where there is no file."""
        journal = cls(path)
        path.touch()
        with path.open("rb+") as file:
            while True:
                offset = file.tell()
                line = file.readline()
                if not line.endswith(b"\n"):
                    file.truncate(offset)
                    return journal
                journal._take(json.loads(line), offset)

    def append(self, done: FinishedShard, failures: list[dict[str, Any]]) -> None:
        """Record a finished shard durably."""
        self._offsets[done.number] = self._write({**asdict(done), "failures": failures})
        self.shards[done.number] = done

    def drop(self, number: int) -> None:
        """Revoke a shard, which is to be annotated again."""
        self._write({"number": number})
        del self.shards[number]

    def sort(self) -> None:
        """Rewrite the file in the order of shards, so that it does not depend on the order in which they finished."""
        with replacing(self._path) as temporary, temporary.open("wb") as file:
            for number in sorted(self.shards):
                file.write(self._line(number))
        self._offsets = type(self).open(self._path)._offsets

    def failures(self) -> Iterator[dict[str, Any]]:
        """YIELDS (dict[str, Any]): Every document that failed, in the order of the input."""
        for number in sorted(self.shards):
            if self.shards[number].failed:
                yield from json.loads(self._line(number))["failures"]

    def entities(self) -> Counter[str]:
        """RETURNS (Counter[str]): Entities by type, of all shards."""
        return sum((Counter(done.entities) for done in self.shards.values()), Counter())

    def _take(self, entry: dict[str, Any], offset: int) -> None:
        number = entry["number"]
        if entry.pop("failures", None) is None:
            self.shards.pop(number, None)
            return
        self.shards[number] = FinishedShard(**entry)
        self._offsets[number] = offset

    def _write(self, entry: dict[str, Any]) -> int:
        """Append a line durably. RETURNS (int): Its offset in the file."""
        with self._path.open("ab") as file:
            offset = file.tell()
            file.write(json.dumps(entry, default=repr).encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return offset

    def _line(self, number: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(self._offsets[number])
            return file.readline()
