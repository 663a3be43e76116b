"""A batch of documents as pieces and windows, and the encoder's way through them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast

import numpy as np
import torch
from spacy.tokens import Doc
from torch import Tensor

from .memory import find_recurrences
from .module import Encoder
from .pieces import WordPieces
from .settings import Settings
from .windows import Window, assign, batches, cut, cut_at_random


@dataclass(frozen=True)
class Layout:
    """Where a batch's pieces come from and go to.

    texts (list[list[str]]): The words, by document.
    ids, shapes (ndarray): (pieces,) of all documents, one after another.
    counts (list[ndarray]): Pieces of each word, by document.
    windows (list[Window]): The windows.
    offsets (list[ndarray]): (words + 1,) position of each word's first piece in `ids`, by document.
    """

    texts: list[list[str]]
    ids: np.ndarray
    shapes: np.ndarray
    counts: list[np.ndarray]
    windows: list[Window]
    offsets: list[np.ndarray]

    def span(self, window: Window) -> tuple[int, int]:
        """RETURNS: The pieces of a window, end exclusive."""
        offsets = self.offsets[window.doc]
        return int(offsets[window.start]), int(offsets[window.end])

    def read_span(self, window: Window) -> tuple[int, int]:
        """RETURNS: The pieces that are read from a window, end exclusive."""
        offsets = self.offsets[window.doc]
        return int(offsets[window.read_start]), int(offsets[window.read_end])


def lay_out(pieces: WordPieces, settings: Settings, docs: Sequence[Doc], is_train: bool) -> Layout:
    """Split documents into pieces and windows.

    pieces (WordPieces): The tokenizer.
    settings (Settings): For window and stride.
    docs (Sequence[Doc]): The documents.
    is_train (bool): Whether windows are cut at random, without overlap.
    RETURNS (Layout): The batch's pieces.
    """
    capacity = settings.window - pieces.specials
    overlap = min(settings.window - settings.stride, capacity - 1)
    texts = [[token.text for token in doc] for doc in docs]
    flat = [word for words in texts for word in words]
    encoded = pieces.encode(flat, capacity)
    counts = np.fromiter((len(word.ids) for word in encoded), dtype=np.int64, count=len(encoded))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    by_doc, counts_by_doc, windows = [], [], []
    word = 0
    for i, doc in enumerate(docs):
        own = offsets[word : word + len(doc) + 1]
        if is_train:
            spans = cut_at_random(own - own[0], capacity, np.random.mtrand._rand)
        else:
            spans = cut(own - own[0], capacity, overlap, sentence_starts(doc))
        windows.extend(assign(i, spans, own))
        by_doc.append(own)
        counts_by_doc.append(counts[word : word + len(doc)])
        word += len(doc)
    every = int(offsets[-1])
    ids = np.fromiter(chain.from_iterable(word.ids for word in encoded), dtype=np.int64, count=every)
    if is_train and settings.word_dropout:
        hidden = np.random.random_sample(len(counts)) < settings.word_dropout
        ids[np.repeat(hidden, counts)] = pieces.settings["mask"]
    shapes = np.fromiter(chain.from_iterable(word.classes for word in encoded), dtype=np.int64, count=every)
    return Layout(texts, ids, shapes, counts_by_doc, windows, by_doc)


def sentence_starts(doc: Doc) -> np.ndarray | None:
    """RETURNS (ndarray | None): Words that start a sentence, where a component has set that."""
    if not doc.has_annotation("SENT_START"):
        return None
    return np.flatnonzero(doc.to_array("SENT_START") == 1)


def encode(layout: Layout, pieces: WordPieces, max_pieces: int, encoder: Encoder) -> Tensor:
    """Run the encoder over a layout's windows.

    layout (Layout): The batch's pieces.
    pieces (WordPieces): The tokenizer, for its special pieces.
    max_pieces (int): The most pieces of a forward pass, padding counted.
    encoder (Encoder): The module.
    RETURNS (Tensor): (pieces, width), in the order of the layout, on the encoder's device.
    """
    device = next(encoder.parameters()).device
    prefix, suffix = pieces.settings["prefix"], pieces.settings["suffix"]
    spans = [layout.span(window) for window in layout.windows]
    lengths = [end - start + pieces.specials for start, end in spans]
    outputs, positions = [], []
    for indices in batches(lengths, max_pieces):
        sizes = [lengths[i] for i in indices]
        ids = np.empty(sum(sizes), dtype=np.int64)
        shapes = np.zeros_like(ids)
        rows = []
        first = 0
        for i in indices:
            start, end = spans[i]
            ids[first : first + lengths[i]] = [*prefix, *layout.ids[start:end], *suffix]
            at = first + len(prefix) - start
            shapes[at + start : at + end] = layout.shapes[start:end]
            read_start, read_end = layout.read_span(layout.windows[i])
            rows.append(np.arange(at + read_start, at + read_end))
            positions.append(np.arange(read_start, read_end))
            first += lengths[i]
        hidden = encoder(torch.from_numpy(ids).to(device), torch.from_numpy(shapes).to(device), sizes)
        outputs.append(hidden[torch.from_numpy(np.concatenate(rows)).to(device)])
    # Each piece was read once, in the order of the batches: put them back into the order of the text.
    order = np.empty(len(layout.ids), dtype=np.int64)
    first = layout.offsets[0][0]
    order[np.concatenate(positions) - first] = np.arange(len(layout.ids))
    vectors = torch.cat(outputs)[torch.from_numpy(order).to(device)]
    if encoder.memory is None:
        return vectors
    recurrences = find_recurrences(layout.texts, layout.offsets, layout.counts)
    return cast(Tensor, encoder.memory(vectors, recurrences, max_pieces))
