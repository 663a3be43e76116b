"""Targets: the teachers' distributions for every token of a corpus, in files that are read as memory maps.

FOLDER/targets.f16     logarithms of probabilities, little-endian float16: (rows, tags)
       documents.i64   of each document its rows and a checksum of its words, little-endian int64: (documents, 2)
       targets.json    labels and tag scheme; of what the targets are; how much of the other files is whole

The files grow block by block, and targets.json is written after each: what an interruption leaves is completed.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bert_ner.arrays import Array, Floats, Ints
from spacy_bert_ner.decoding import Lattice
from spacy_bert_ner.ner.streaming import MAX_BATCH_WORDS, batch_documents
from spacy_bert_ner.ner.teacher import translate_tags
from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.tags import get_scheme
from spacy_bert_ner.training.fingerprint import Fingerprint, differences
from spacy_bert_ner.training.training_error import RunError

from .teachers import Teachers

STATE_FILE, ROWS_FILE, DOCUMENTS_FILE = "targets.json", "targets.f16", "documents.i64"
ROW_TYPE, DOCUMENT_TYPE = np.dtype("<f2"), np.dtype("<i8")
BLOCK_DOCUMENTS = 128
# Where a predicted document says at which row its tokens begin.
FIRST_ROW = "bert_ner_targets"


@dataclass
class TargetState:
    """What targets.json holds.

    fingerprint (Fingerprint): What the targets depend on.
    scheme, labels: Of the tags, which are the columns.
    documents, rows (int): How many are whole.
    complete (bool): Whether these are all.
    """

    fingerprint: Fingerprint
    scheme: str
    labels: list[str]
    documents: int = 0
    rows: int = 0
    complete: bool = False

    @property
    def lattice(self) -> Lattice:
        """RETURNS (Lattice): The legal sequences of the tags."""
        return Lattice(get_scheme(self.scheme), tuple(self.labels))

    @classmethod
    def read(cls, folder: Path) -> "TargetState | None":
        """RETURNS (TargetState | None): The state of the targets in a folder; None where there are none."""
        path = folder / STATE_FILE
        if not path.exists():
            return None
        try:
            return cls(**json.loads(path.read_text(encoding="utf8")))
        except (ValueError, TypeError) as error:
            raise RunError(f"{path} is damaged ({error}): delete {folder}, and its targets are made anew") from error

    def write(self, folder: Path) -> None:
        """Write the state, atomically."""
        write_atomically(folder / STATE_FILE, json.dumps(asdict(self)).encode("utf8"))


def find_targets(folder: Path, fingerprint: Fingerprint, *, replace: bool) -> TargetState | None:
    """Find targets that belong to a run.

    folder (Path): Where they may be.
    fingerprint (Fingerprint): What they depend on.
    replace (bool): Whether those of something else may be replaced.
    RETURNS (TargetState | None): Their state, complete or not; None where they are to be made from the beginning.
    RAISES: RunError where those of something else must not be replaced.
    """
    state = TargetState.read(folder)
    if state is None:
        return None
    different = differences(state.fingerprint, fingerprint)
    if not different:
        return state
    if not replace:
        raise RunError(
            f"{folder} holds the targets of something else:\n  "
            + "\n  ".join(different)
            + "\nName another folder with --targets; to replace them, add --fresh."
        )
    return None


def make_targets(
    folder: Path,
    docs: Iterable[Doc],
    teachers: Teachers,
    state: TargetState,
    after_block: Callable[[int], None] = lambda rows: None,
) -> None:
    """Let teachers judge all documents that a state does not have yet, and write that.

    folder (Path): Where the files are, or are to be.
    docs (Iterable[Doc]): All documents, in order; those that are done are passed over.
    teachers (Teachers): The teachers.
    state (TargetState): What is done.
    after_block (Callable[[int], None]): Called with the number of new rows after each block is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Left by a killed process.
    for left_behind in folder.glob(f".{STATE_FILE}.*"):
        left_behind.unlink()
    state.write(folder)
    with ExitStack() as stack:
        rows = stack.enter_context(
            _opened(folder / ROWS_FILE, state.rows * len(state.lattice.tags) * ROW_TYPE.itemsize)
        )
        documents = stack.enter_context(_opened(folder / DOCUMENTS_FILE, state.documents * 2 * DOCUMENT_TYPE.itemsize))
        left = islice(docs, state.documents, None)
        for block in batch_documents(left, BLOCK_DOCUMENTS, MAX_BATCH_WORDS):
            _append(rows, teachers.log_probs(block).astype(ROW_TYPE))
            _append(documents, np.array([[len(doc), checksum_of(doc)] for doc in block], dtype=DOCUMENT_TYPE))
            added = sum(map(len, block))
            state.documents += len(block)
            state.rows += added
            state.write(folder)
            after_block(added)
    state.complete = True
    state.write(folder)


class Targets:
    """Complete targets, in files that are read where they are wanted.

    folder (Path): Where the files are.
    RAISES: RunError where they are incomplete or damaged.
    """

    def __init__(self, folder: Path) -> None:
        state = TargetState.read(folder)
        if state is None or not state.complete:
            raise RunError(f"{folder} holds no complete targets")
        self.folder = folder
        self.lattice = state.lattice
        try:
            shape = (state.rows, len(self.lattice.tags))
            self.rows: Array = np.memmap(folder / ROWS_FILE, dtype=ROW_TYPE, mode="r", shape=shape)
            documents: Ints = np.fromfile(folder / DOCUMENTS_FILE, dtype=DOCUMENT_TYPE).reshape(state.documents, 2)
            self._sizes, self._checksums = documents.T
            if self._sizes.sum() != state.rows:
                raise ValueError(f"documents of {self._sizes.sum()} words, expected {state.rows}")
        except (OSError, ValueError) as error:
            raise RunError(f"{folder} is damaged ({error}): delete it, and its targets are made anew") from error
        self._starts = np.cumsum(self._sizes) - self._sizes

    def __len__(self) -> int:
        """RETURNS (int): The number of documents."""
        return len(self._sizes)

    def mark(self, number: int, example: Example) -> Example:
        """Note on an example where its targets are.

        number (int): Which document it is, in the order in which the targets were made.
        example (Example): The example; its predicted side is marked, which its copies keep.
        RETURNS (Example): The same.
        RAISES: RunError where it has other words than that document had.
        """
        doc = example.predicted
        if number >= len(self) or (len(doc), checksum_of(doc)) != (self._sizes[number], self._checksums[number]):
            raise RunError(
                f"Document {number} ({doc[:8].text!r}) is none that the teachers saw there: the corpus's reader or its "
                f"augmenter gives other documents each time. Set [training] seed, or delete {self.folder} if the "
                "data have changed"
            )
        doc.user_data[FIRST_ROW] = int(self._starts[number])
        return example

    def look_up(self, examples: Sequence[Example], lattice: Lattice) -> Floats:
        """Read the distributions of marked examples: a `LookUp`.

        examples (Sequence[Example]): The examples.
        lattice (Lattice): Of the tags that are wanted.
        RETURNS (Floats): Logarithms of probabilities. (tokens, tags)
        """
        found = [self._rows_of(example.predicted) for example in examples]
        return translate_tags(np.concatenate(found).astype(np.float32), self.lattice, lattice)

    def _rows_of(self, doc: Doc) -> Array:
        start = doc.user_data[FIRST_ROW]
        return self.rows[start : start + len(doc)]


def checksum_of(doc: Doc) -> int:
    """RETURNS (int): A checksum of a document's words."""
    return zlib.crc32("\0".join(token.text for token in doc).encode("utf8", "surrogatepass"))


def _opened(path: Path, size: int) -> BinaryIO:
    """Open a file to append to it, without what an interruption has left behind its first `size` bytes.

    RAISES: RunError where it has fewer.
    """
    path.touch()
    if path.stat().st_size < size:
        raise RunError(f"{path} is damaged (cut short): delete {path.parent}, and its targets are made anew")
    file = path.open("r+b")
    file.truncate(size)
    file.seek(size)
    return file


def _append(file: BinaryIO, values: Array) -> None:
    """Append to a file, and wait until it is on the disk."""
    file.write(values.tobytes())
    file.flush()
    os.fsync(file.fileno())
