"""Documents to windows of word pieces, and back.

A document of more pieces than fit is cut into overlapping windows. Each piece's vector is read from the window in
which it stands furthest from an edge, so that what is read (=) meets at the middle of each overlap:

    pieces    0         10        20        30
    window 1  ======------
    window 2        ----========----
    window 3                  ------==========
                        overlap

Windows begin and end at word boundaries, so no word is torn, and all of a word's pieces come from the same window. At
the document's own edges nothing lies beyond, and the windows there are read to their ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spacy_bert_ner.arrays import Ints


@dataclass(frozen=True)
class Window:
    """A run of one document's words, encoded together.

    doc (int): Index of the document in its batch.
    start, end (int): Its words, end exclusive.
    read_start, read_end (int): Those words whose vectors are read from this window.
    """

    doc: int
    start: int
    end: int
    read_start: int
    read_end: int


def cut_windows(offsets: Ints, capacity: int, overlap: int, starts: Ints | None = None) -> list[tuple[int, int]]:
    """Cut a document into the fewest windows that cover it, of even lengths, with little overlap.

    offsets (Ints): (words + 1,) pieces before each word; no word has more than `capacity`.
    capacity (int): Maximum number of pieces of a window.
    overlap (int): Minimum number of pieces that neighbours share, less where words are too long for that.
    starts (Ints | None): Words that start a sentence, sorted; windows then begin there where that costs no more
        than half of the overlap.
    RETURNS (list[tuple[int, int]]): The windows' words, end exclusive; they cover all words in order.
    """
    total = int(offsets[-1])
    words = len(offsets) - 1
    if total <= capacity:
        return [(0, words)] if words else []
    count = -(-(total - overlap) // (capacity - overlap))
    windows: list[tuple[int, int]] = []
    start = 0
    while True:
        # What is left, spread evenly over the windows that are left: full ones would only share more of it.
        left = max(count - len(windows), 1)
        rest = total - int(offsets[start])
        size = -(-(rest + (left - 1) * overlap) // left)
        end = _first_reaching(offsets, start, min(size, capacity, rest), capacity)
        windows.append((start, end))
        if end == words:
            return windows
        # At least one word further than this window, and without a gap behind it.
        following = int(np.searchsorted(offsets, int(offsets[end]) - overlap, side="right")) - 1
        following = min(max(following, start + 1), end)
        start = _snap(following, offsets, starts, overlap // 2, lowest=start + 1)


def cut_at_random(offsets: Ints, capacity: int, rng: np.random.RandomState) -> list[tuple[int, int]]:
    """Cut a document into windows that do not overlap, somewhere else each time: for training.

    offsets (Ints): (words + 1,) pieces before each word; no word has more than `capacity`.
    capacity (int): Maximum number of pieces of a window.
    rng (RandomState): Where the cut points come from.
    RETURNS (list[tuple[int, int]]): The windows' words, end exclusive, each word in one of them.
    """
    words = len(offsets) - 1
    if offsets[-1] <= capacity:
        return [(0, words)] if words else []
    first = int(rng.randint(capacity // 2, capacity + 1))
    windows = [(0, max(_last_fitting(offsets, 0, first), 1))]
    while windows[-1][1] < words:
        start = windows[-1][1]
        windows.append((start, _last_fitting(offsets, start, capacity)))
    return windows


def assign_words(doc: int, spans: Sequence[tuple[int, int]], offsets: Ints) -> list[Window]:
    """Decide which window each word is read from: the one in which it has the most context on its nearer side.

    doc (int): Index of the document in its batch.
    spans (Sequence[tuple[int, int]]): The document's windows, from `cut_windows`.
    offsets (Ints): (words + 1,) pieces before each word.
    RETURNS (list[Window]): The windows; the words they are read for follow each other without gap or overlap.
    """
    if not spans:
        return []
    # Neighbours share the pieces from the later one's start to the earlier one's end: they meet in the middle, where a
    # word belongs to the side that its own middle is on. (Sums stand for means, so that all numbers are whole.)
    meeting = [0]
    for (_, end), (start, _) in pairwise(spans):
        middles = offsets[start:end] + offsets[start + 1 : end + 1]
        at = start + int(np.searchsorted(middles, offsets[start] + offsets[end]))
        meeting.append(min(max(at, start, meeting[-1]), end))
    meeting.append(len(offsets) - 1)
    return [Window(doc, *span, *read) for span, read in zip(spans, pairwise(meeting), strict=True)]


def batch_windows(lengths: Sequence[int], max_pieces: int) -> list[list[int]]:
    """WindowGroup windows of like length, so that padding them to the longest stays within a budget.

    lengths (Sequence[int]): Pieces of each window.
    max_pieces (int): Maximum number of pieces of a batch, padding counted; a longer window is a batch alone.
    RETURNS (list[list[int]]): Indices of windows, each once, longest first.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    grouped: list[list[int]] = []
    for i in order:
        # Sorted downwards, a batch's first window is its longest.
        if grouped and lengths[grouped[-1][0]] * (len(grouped[-1]) + 1) <= max_pieces:
            grouped[-1].append(i)
        else:
            grouped.append([i])
    return grouped


def _last_fitting(offsets: Ints, start: int, capacity: int) -> int:
    """Find the furthest end of a window. RETURNS: The word after its last one."""
    return int(np.searchsorted(offsets, offsets[start] + capacity, side="right")) - 1


def _first_reaching(offsets: Ints, start: int, size: int, capacity: int) -> int:
    """Find the nearest end of a window of at least `size` pieces. RETURNS: The word after its last one."""
    end = int(np.searchsorted(offsets, offsets[start] + size))
    return end if offsets[end] - offsets[start] <= capacity else end - 1


def _snap(start: int, offsets: Ints, starts: Ints | None, slack: int, lowest: int) -> int:
    """Move a window's start back to a sentence start, if one lies within `slack` pieces."""
    if starts is None or not len(starts):
        return start
    i = int(np.searchsorted(starts, start, side="right")) - 1
    if i < 0 or starts[i] < lowest or offsets[start] - offsets[starts[i]] > slack:
        return start
    return int(starts[i])
