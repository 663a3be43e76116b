"""Which words recur within their documents, and where: what a document memory compares."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spacy_bert_ner.arrays import Ints


@dataclass(frozen=True)
class Recurrences:
    """Words that occur more than once in a document, one document after another, occurrences side by side.

    firsts (Ints): The first piece of each occurrence. (occurrences,)
    sizes (Ints): How many occurrences each word has, at least 2. (words,)
    pieces (Ints): All pieces of the occurrences. (pieces,)
    owners (Ints): Which occurrence each of them belongs to. (pieces,)
    """

    firsts: Ints
    sizes: Ints
    pieces: Ints
    owners: Ints

    def parts(self, maximum: int) -> Iterator["Recurrences"]:
        """Take them apart between words.

        maximum (int): Occurrences of a part; a word with more is a part alone.
        RETURNS (Iterator[Recurrences]): The parts.
        """
        ends = np.cumsum(self.sizes)
        word = start = 0
        while word < len(ends):
            following = max(int(np.searchsorted(ends, start + maximum, side="right")), word + 1)
            end = int(ends[following - 1])
            low, high = np.searchsorted(self.owners, (start, end))
            yield Recurrences(
                self.firsts[start:end],
                self.sizes[word:following],
                self.pieces[low:high],
                self.owners[low:high] - start,
            )
            word, start = following, end


def find_recurrences(folded: Ints, tokens: Ints, starts: Ints, counts: Ints) -> Recurrences:
    """Find the words that recur within their documents; capitals make no difference.

    folded (Ints): The same number for words that differ in capitals alone. (tokens,)
    tokens (Ints): Words of each document. (documents,)
    starts (Ints): Each word's first piece in the batch. (tokens,)
    counts (Ints): Pieces of each word. (tokens,)
    RETURNS (Recurrences): What recurs.
    """
    document = np.repeat(np.arange(len(tokens)), tokens)
    kinds = int(folded.max()) + 1 if len(folded) else 1
    _, first, word, times = np.unique(
        document * kinds + folded, return_index=True, return_inverse=True, return_counts=True
    )
    # In the order in which they first occur: the numbers depend on what was read before.
    rank = np.argsort(np.argsort(first))
    word, times = rank[word], times[np.argsort(first)]
    recurring = np.flatnonzero(times[word] > 1)
    # Occurrences side by side, in the order of the text.
    occurrences = recurring[np.argsort(word[recurring], kind="stable")]
    firsts, lengths = starts[occurrences], counts[occurrences]
    owners = np.repeat(np.arange(len(firsts)), lengths)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Recurrences(firsts, times[times > 1], firsts[owners] + within, owners)
