"""A batch of documents as pieces and windows, and the encoder's way through them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from spacy.tokens import Doc
from torch import Tensor

from .network.memory import find_recurrences
from .network.module import Encoder
from .pieces import WordPieces
from .settings import EncoderSettings
from .windows import Window, assign_words, batch_windows, cut_at_random, cut_windows


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


def encode_documents(layout: PieceLayout, pieces: WordPieces, max_pieces: int, encoder: Encoder) -> Tensor:
    """Run the encoder over a layout's windows.

    layout (PieceLayout): The batch's pieces.
    pieces (WordPieces): The tokenizer, for its special pieces.
    max_pieces (int): Maximum number of pieces of a forward pass, padding counted.
    encoder (Encoder): The module.
    RETURNS (Tensor): (pieces, width), in the order of the layout, on the encoder's device.
    """
    device = next(encoder.parameters()).device
    prefix, suffix = (np.array(pieces.settings[side], dtype=np.int64) for side in ("prefix", "suffix"))
    spans = [layout.span(window) for window in layout.windows]
    lengths = [end - start + pieces.specials for start, end in spans]
    outputs, order = [], np.empty(len(layout.ids), dtype=np.int64)
    read = 0
    for indices in batch_windows(lengths, max_pieces):
        sizes = [lengths[i] for i in indices]
        ids = np.empty(sum(sizes), dtype=np.int64)
        shapes = np.zeros_like(ids)
        rows = []
        first = 0
        for i in indices:
            (start, end), (read_start, read_end) = spans[i], layout.read_span(layout.windows[i])
            at = first + len(prefix)
            ids[first:at] = prefix
            ids[at : at + end - start] = layout.ids[start:end]
            shapes[at : at + end - start] = layout.shapes[start:end]
            first += lengths[i]
            ids[first - len(suffix) : first] = suffix
            rows.append(np.arange(at + read_start - start, at + read_end - start))
            # Each piece is read once, in the order of the batches: where it will be among what was read.
            order[read_start - layout.first : read_end - layout.first] = np.arange(read, read + read_end - read_start)
            read += read_end - read_start
        hidden = encoder(torch.from_numpy(ids).to(device), torch.from_numpy(shapes).to(device), sizes)
        outputs.append(hidden[torch.from_numpy(np.concatenate(rows)).to(device)])
    vectors = torch.cat(outputs)[torch.from_numpy(order).to(device)]
    if encoder.memory is None:
        return vectors
    recurrences = find_recurrences(layout.folded, layout.tokens, layout.starts, np.concatenate(layout.counts))
    return cast(Tensor, encoder.memory(vectors, recurrences, max_pieces))
