"""A table of words that were split before, in flat arrays: a batch's pieces are taken from it without a loop.

rows     {"the": 0, "Londoners": 1, …}
starts   0  1 …          where a word's pieces begin in ids and classes
counts   1  3 …          how many it has
folded   0  1 …          the same number for words that differ in capitals alone
ids      1996  2414  2545  2015 …
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from spacy_bert_ner.arrays import Ints


class Encoded(NamedTuple):
    """Words as pieces.

    ids, classes (Ints): Of the vocabulary, and of the pieces' shapes (casing.piece_classes). (pieces,)
    counts (Ints): Pieces of each word, at least one. (words,)
    folded (Ints): The same number for words that differ in capitals alone. (words,)
    """

    ids: Ints
    classes: Ints
    counts: Ints
    folded: Ints


class WordTable:
    """Words and their pieces; only ever added to, so that one thread may read what is there while another adds."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self._keys: dict[str, int] = {}
        self._used = 0
        self._starts, self._counts, self._folded = (np.zeros(1024, dtype=np.int64) for _ in range(3))
        self._ids, self._classes = (np.zeros(4096, dtype=np.int64) for _ in range(2))

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, word: str, ids: Ints | list[int], classes: Ints | list[int]) -> None:
        """Add a word that is not there; of several threads only one at a time.

        word (str): The word.
        ids, classes (Ints | list[int]): Its pieces.
        """
        row, end = len(self.rows), self._used + len(ids)
        if row == len(self._starts):
            self._starts, self._counts, self._folded = map(_doubled, (self._starts, self._counts, self._folded))
        while end > len(self._ids):
            self._ids, self._classes = map(_doubled, (self._ids, self._classes))
        self._ids[self._used : end] = ids
        self._classes[self._used : end] = classes
        self._starts[row], self._counts[row] = self._used, len(ids)
        self._folded[row] = self._keys.setdefault(word.lower(), len(self._keys))
        self._used = end
        # Last, as it is by this that others find the rest.
        self.rows[word] = row

    def take(self, rows: Ints, maximum: int) -> Encoded:
        """Look words up.

        rows (Ints): Their rows.
        maximum (int): The maximum number of pieces of a word; the rest of a longer one is left out.
        RETURNS (Encoded): Their pieces.
        """
        counts = np.minimum(self._counts[rows], maximum)
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        at = np.repeat(self._starts[rows] - (ends - counts), counts) + np.arange(total)
        return Encoded(self._ids[at], self._classes[at], counts, self._folded[rows])

    def only(self, words: Iterable[str], more: Iterable[tuple[str, list[int], list[int]]]) -> "WordTable":
        """Make a table for one batch, which may have words that this table does not remember.

        words (Iterable[str]): The batch's words; those that are not here are left out.
        more (Iterable[tuple]): Other words, each with the ids and classes of its pieces.
        RETURNS (WordTable): A table of both.
        """
        made = WordTable()
        for word in dict.fromkeys(words):
            row = self.rows.get(word)
            if row is not None:
                start, end = self._starts[row], self._starts[row] + self._counts[row]
                made.add(word, self._ids[start:end], self._classes[start:end])
        for word, ids, classes in more:
            made.add(word, ids, classes)
        return made


class Sightings:
    """Tells words that come again from those that come once, of which texts have no end, in little memory.

    Of a word that was never seen it may say that it was, seldom; of one that was, that it was not, more seldom still.
    """

    BUCKETS = 1 << 18

    def __init__(self) -> None:
        self._buckets = bytearray(self.BUCKETS)
        self._used = 0

    def note(self, word: str) -> bool:
        """Note a word. RETURNS (bool): Whether it was noted before. word (str): The word."""
        at = hash(word) % self.BUCKETS
        if self._buckets[at]:
            return True
        if self._used == self.BUCKETS // 4:
            self._buckets = bytearray(self.BUCKETS)
            self._used = 0
        self._buckets[at] = 1
        self._used += 1
        return False


def _doubled(array: Ints) -> Ints:
    return np.concatenate([array, np.zeros_like(array)])
