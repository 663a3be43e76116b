"""A batch of documents as pieces and windows, and batches of windows as rows that a network reads."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from spacy.tokens import Doc

from .pieces import WordPieces
from .recurrences import Recurrences, find_recurrences
from .settings import EncoderSettings
from .windows import Window, assign_words, cut_at_random, cut_windows


@dataclass(frozen=True)
class PieceLayout:
    """Where a batch's pieces come from and go to.

    folded (ndarray): (words,) the same number for words that differ in capitals alone.
    tokens (ndarray): (documents,) words of each document.
    ids, shapes (ndarray): (pieces,) of all documents, one after another.
    counts (list[ndarray]): Pieces of each word, by document.
    windows (list[Window]): The windows.
    offsets (list[ndarray]): (words + 1,) position of each word's first piece in `ids`, by document.
    """

    folded: np.ndarray
    tokens: np.ndarray
    ids: np.ndarray
    shapes: np.ndarray
    counts: list[np.ndarray]
    windows: list[Window]
    offsets: list[np.ndarray]

    @property
    def first(self) -> int:
        """RETURNS (int): Position of the first piece."""
        return int(self.offsets[0][0])

    @property
    def starts(self) -> np.ndarray:
        """RETURNS (ndarray): (words,) position of each word's first piece."""
        return np.concatenate([own[:-1] for own in self.offsets])

    def span(self, window: Window) -> tuple[int, int]:
        """RETURNS: The pieces of a window, end exclusive."""
        offsets = self.offsets[window.doc]
        return int(offsets[window.start]), int(offsets[window.end])

    def read_span(self, window: Window) -> tuple[int, int]:
        """RETURNS: The pieces that are read from a window, end exclusive."""
        offsets = self.offsets[window.doc]
        return int(offsets[window.read_start]), int(offsets[window.read_end])

    def recurrences(self) -> Recurrences:
        """RETURNS (Recurrences): The words that occur more than once in their documents."""
        return find_recurrences(self.folded, self.tokens, self.starts, np.concatenate(self.counts))


@dataclass(frozen=True)
class WindowBatch:
    """Windows that are encoded together, one after another without padding.

    ids, shapes (ndarray): (rows,) with the special pieces around each window.
    sizes (list[int]): Rows of each window.
    rows (ndarray): (read,) the rows whose vectors are read.
    pieces (ndarray): (read,) which of the layout's pieces they are.
    """

    ids: np.ndarray
    shapes: np.ndarray
    sizes: list[int]
    rows: np.ndarray
    pieces: np.ndarray


def lay_out(pieces: WordPieces, settings: EncoderSettings, docs: Sequence[Doc], is_train: bool) -> PieceLayout:
    """Split documents into pieces and windows.

    pieces (WordPieces): The tokenizer.
    settings (EncoderSettings): For window and stride.
    docs (Sequence[Doc]): The documents.
    is_train (bool): Whether windows are cut at random, without overlap.
    RETURNS (PieceLayout): The batch's pieces.
    """
    capacity = settings.window - pieces.specials
    overlap = min(settings.window - settings.stride, capacity - 1)
    encoded = pieces.encode([token.text for doc in docs for token in doc], capacity)
    counts, ids = encoded.counts, encoded.ids
    offsets = np.concatenate([[0], np.cumsum(counts)])
    tokens = np.array([len(doc) for doc in docs], dtype=np.int64)
    by_doc, counts_by_doc, windows = [], [], []
    for i, (doc, end) in enumerate(zip(docs, np.cumsum(tokens).tolist(), strict=True)):
        start = end - len(doc)
        own = offsets[start : end + 1]
        if is_train:
            spans = cut_at_random(own - own[0], capacity, np.random.mtrand._rand)
        else:
            spans = cut_windows(own - own[0], capacity, overlap, sentence_starts(doc))
        windows.extend(assign_words(i, spans, own))
        by_doc.append(own)
        counts_by_doc.append(counts[start:end])
    if is_train and settings.word_dropout:
        masked = np.random.random_sample(len(counts)) < settings.word_dropout
        ids = np.where(np.repeat(masked, counts), pieces.settings["mask"], ids)
    return PieceLayout(encoded.folded, tokens, ids, encoded.classes, counts_by_doc, windows, by_doc)


def sentence_starts(doc: Doc) -> np.ndarray | None:
    """RETURNS (ndarray | None): Words that start a sentence, where a component has set that."""
    if not doc.has_annotation("SENT_START"):
        return None
    return np.flatnonzero(doc.to_array("SENT_START") == 1)


def window_lengths(layout: PieceLayout, pieces: WordPieces) -> list[int]:
    """RETURNS (list[int]): Pieces of each window, special pieces counted."""
    return [end - start + pieces.specials for start, end in map(layout.span, layout.windows)]


def fill_batches(layout: PieceLayout, pieces: WordPieces, batches: Iterable[list[int]]) -> Iterator[WindowBatch]:
    """Write batches of windows out, each with its special pieces.

    layout (PieceLayout): The pieces and windows.
    pieces (WordPieces): The tokenizer, for its special pieces.
    batches (Iterable[list[int]]): Indices of windows.
    YIELDS (WindowBatch): Each of them; all together read every piece once.
    """
    prefix, suffix = (np.array(pieces.settings[side], dtype=np.int64) for side in ("prefix", "suffix"))
    for indices in batches:
        spans = [layout.span(layout.windows[i]) for i in indices]
        sizes = [end - start + pieces.specials for start, end in spans]
        ids = np.empty(sum(sizes), dtype=np.int64)
        shapes = np.zeros_like(ids)
        rows, read = [], []
        first = 0
        for i, (start, end), size in zip(indices, spans, sizes, strict=True):
            read_start, read_end = layout.read_span(layout.windows[i])
            at = first + len(prefix)
            ids[first:at] = prefix
            ids[at : at + end - start] = layout.ids[start:end]
            shapes[at : at + end - start] = layout.shapes[start:end]
            first += size
            ids[first - len(suffix) : first] = suffix
            rows.append(np.arange(at + read_start - start, at + read_end - start))
            read.append(np.arange(read_start - layout.first, read_end - layout.first))
        yield WindowBatch(ids, shapes, sizes, np.concatenate(rows), np.concatenate(read))
