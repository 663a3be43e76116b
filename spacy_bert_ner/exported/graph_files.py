"""The files of an exported component: checked where they are read, whole where they are written.

bert_ner/model            sizes and checksums of the files beside it, and the tokenizer's settings
         encoder.onnx     ids, shapes, mask ─► vectors
         encoder.weights  the large constants of encoder.onnx, which names it
         head.onnx        vectors of words, means of their other occurrences ─► logits
         probe.onnx       a product of the largest numbers: see exact_products.py
         tokenizer.json   words ─► pieces
         ner.json         all else that a client outside Python needs: see description.py
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import srsly

from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.storage.stored_files import StoredFile, describe_file

ENCODER, WEIGHTS, HEAD, PROBE = "encoder.onnx", "encoder.weights", "head.onnx", "probe.onnx"
TOKENIZER, DESCRIPTION = "tokenizer.json", "ner.json"
NAMES = (ENCODER, WEIGHTS, HEAD, PROBE, TOKENIZER)


class Readable(Protocol):
    """What a file holds, here or on the disk."""

    def read(self) -> bytes:
        """RETURNS (bytes): The content."""


@dataclass(frozen=True)
class Content:
    """What a file is to hold.

    content (bytes): All of it.
    """

    content: bytes

    def read(self) -> bytes:
        """RETURNS (bytes): The content."""
        return self.content


class Graph(NamedTuple):
    """A graph as ONNX Runtime takes it.

    source (bytes | Path): The .onnx file, or what it holds.
    weights (Mapping[str, bytes]): By the names that it has for them, the files beside it, where it is none itself.
    """

    source: bytes | Path
    weights: Mapping[str, bytes] = {}


@dataclass(frozen=True)
class GraphFiles:
    """What an exported component is made of.

    files (Mapping[str, Readable]): Each of NAMES.
    pieces (dict[str, Any]): The tokenizer's settings: see WordPieces.
    """

    files: Mapping[str, Readable]
    pieces: dict[str, Any]

    def read(self, name: str) -> bytes:
        """RETURNS (bytes): What a file holds. RAISES: DamagedModelError where it has changed since it was opened."""
        return self.files[name].read()

    def graph(self, name: str) -> Graph:
        """RETURNS (Graph): A graph for ONNX Runtime, from the disk where its files are still those that were checked.

        name (str): ENCODER or HEAD.
        RAISES: DamagedModelError where a file has changed since it was opened.
        """
        beside = [WEIGHTS] if name == ENCODER else []
        files = [self.files[each] for each in (name, *beside)]
        if all(isinstance(file, StoredFile) and file.in_place for file in files):
            return Graph(cast(StoredFile, files[0]).path)
        return Graph(files[0].read(), {each: self.read(each) for each in beside})

    def to_bytes(self, folder: Path | None) -> bytes:
        """Write it.

        folder (Path | None): Where its files go; None where they go within the bytes.
        RETURNS (bytes): msgpack.
        """
        if folder is None:
            contents = {name: file.read() for name, file in self.files.items()}
            return cast(bytes, srsly.msgpack_dumps({"pieces": self.pieces, "contents": contents}))
        described = {}
        for name, file in self.files.items():
            content = file.read()
            write_atomically(folder / name, content)
            described[name] = describe_file(content)
        return cast(bytes, srsly.msgpack_dumps({"pieces": self.pieces, "files": described}))

    @classmethod
    def from_bytes(cls, content: bytes, folder: Path | None) -> "GraphFiles | None":
        """Read what `to_bytes` has written.

        content (bytes): msgpack.
        folder (Path | None): Where the files are.
        RETURNS (GraphFiles | None): None where there was nothing yet.
        RAISES: DamagedModelError where a file is missing, or not what was saved; ValueError where no folder is given
            for them.
        """
        data = srsly.msgpack_loads(content)
        if not data:
            return None
        if "contents" in data:
            return cls({name: Content(each) for name, each in data["contents"].items()}, data["pieces"])
        if folder is None:
            raise ValueError("The graphs were saved to files beside their component: load it with from_disk")
        return cls({name: StoredFile(folder / name, data["files"][name]) for name in NAMES}, data["pieces"])
