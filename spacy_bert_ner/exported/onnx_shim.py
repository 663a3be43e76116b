"""The ONNX Runtime side of an exported pipeline: its graphs, their sessions, and the way to disk."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast

import srsly
from thinc.api import Shim

from spacy_bert_ner.arrays import Array
from spacy_bert_ner.encoder.locks import HOLDERS
from spacy_bert_ner.encoder.pieces import WordPieces
from spacy_bert_ner.encoder.settings import EncoderSettings, check_window

from .exact_products import products_are_exact
from .graph_files import ENCODER, HEAD, PROBE, TOKENIZER, GraphFiles
from .sessions import GraphSession, choose_threads

NOT_EXPORTED = "Nothing was exported here yet: python -m spacy bert-ner export MODEL OUT, and load OUT"

# By shim, the folder that its files go to or come from, while a component is saved or loaded.
_FOLDERS: ContextVar[dict[int, Path]] = ContextVar("graph_folders", default={})  # noqa: B039
# Sessions of a parent process. Their threads stayed with it, so that closing them would wait for ever.
_LEFT_BEHIND: list[dict[str, GraphSession]] = []


class OnnxShim(Shim):
    """Holds the graphs of an exported component for thinc, safely for several threads that predict at once.

    The graphs stay on the disk until they are run; ONNX Runtime then has its own form of them.

    settings (EncoderSettings): For the window: an encoder that reads fewer pieces is refused.
    """

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__(None)
        self.settings = settings
        self._files: GraphFiles | None = None
        self._pieces: WordPieces | None = None
        self._sessions: dict[str, GraphSession] = {}
        self._forked = False
        self._lock = threading.RLock()
        HOLDERS.add(self)

    def renew_lock(self) -> None:
        """Start with a free lock and without sessions, whose threads a forked process does not have."""
        self._lock = threading.RLock()
        _LEFT_BEHIND.append(self._sessions)
        self._sessions, self._forked = {}, True

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings, "bytes": self.to_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["settings"])  # type: ignore[misc]
        self.from_bytes(state["bytes"])

    def copy(self) -> "OnnxShim":
        """RETURNS (OnnxShim): Another one of the same files, which do not change."""
        copied = OnnxShim(self.settings)
        if self._files is not None:
            copied.set_files(self._files)
        return copied

    def set_files(self, files: GraphFiles) -> None:
        """Put graphs and tokenizer in. RAISES: ValueError where the window does not fit the encoder."""
        tokenizer = files.read(TOKENIZER).decode("utf8")
        pieces = WordPieces.from_dict({"tokenizer": tokenizer, "settings": files.pieces})
        check_window(self.settings.window, pieces, self.settings.section, "the exported encoder")
        self._pieces, self._files, self._sessions = pieces, files, {}

    @property
    def is_there(self) -> bool:
        """RETURNS (bool): Whether there are graphs."""
        return self._files is not None

    @property
    def pieces(self) -> WordPieces:
        """RETURNS (WordPieces): The tokenizer. RAISES: ValueError where nothing was exported."""
        if self._pieces is None:
            raise ValueError(NOT_EXPORTED)
        return self._pieces

    def encode(self, **inputs: Array) -> Array:
        """Run the encoder. RETURNS (Array): Vectors. (windows, length, width), fp32"""
        return self._session(ENCODER).run(inputs)

    def score(self, **inputs: Array) -> Array:
        """Run the head. RETURNS (Array): Logits. (words, tags), fp32"""
        return self._session(HEAD).run(inputs)

    @property
    def width(self) -> int:
        """RETURNS (int): Of the encoder's vectors."""
        return self._session(ENCODER).width

    def inputs(self, name: str) -> list[str]:
        """RETURNS (list[str]): The names of a graph's inputs."""
        return self._session(name).inputs

    def _session(self, name: str) -> GraphSession:
        with self._lock:
            if name not in self._sessions:
                if self._files is None:
                    raise ValueError(NOT_EXPORTED)
                threads = 1 if self._forked else choose_threads()
                wide = not products_are_exact(self._files.read(PROBE))
                self._sessions[name] = GraphSession(self._files.graph(name), threads, wide=wide)
            return self._sessions[name]

    @contextmanager
    def weights_in(self, path: Path) -> Iterator[None]:
        """Write the files beside the component in `to_bytes` meanwhile, and leave them there in `from_bytes`.

        It holds for the calling thread alone: another may want them within the bytes.

        path (Path): A file in the component's folder.
        """
        token = _FOLDERS.set({**_FOLDERS.get(), id(self): path.parent})
        try:
            yield
        finally:
            _FOLDERS.reset(token)

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): The graphs and the tokenizer, or where they are."""
        if self._files is None:
            return cast(bytes, srsly.msgpack_dumps({}))
        return self._files.to_bytes(_FOLDERS.get().get(id(self)))

    def from_bytes(self, bytes_data: bytes) -> "OnnxShim":
        """Load what `to_bytes` gave. RETURNS: The shim. RAISES: As GraphFiles.from_bytes."""
        files = GraphFiles.from_bytes(bytes_data, _FOLDERS.get().get(id(self)))
        if files is not None:
            self.set_files(files)
        return self
