"""A decoded batch of documents: what lies between tag scores and entities of a Doc."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from spacy.tokens import Doc

from spacy_bert_ner.decoding import Lattice, Posteriors, Spans, posteriors, read_spans, viterbi

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DecodedBatch:
    """The best legal tags of a batch, and what it takes to judge their entities.

    lattice (Lattice): The legal tag sequences.
    scores (ndarray): Tag scores of all documents' tokens. (tokens, tags)
    lengths (ndarray): Tokens of each sequence, a sentence or a document. (sequences,)
    spans (Spans): The entities, within their sequences.
    doc (ndarray): Index of each entity's document. (entities,)
    start, end (ndarray): Its tokens within that document, end exclusive. (entities,)
    """

    lattice: Lattice
    scores: npt.NDArray[np.float32]
    lengths: Ints
    spans: Spans
    doc: Ints
    start: Ints
    end: Ints

    @classmethod
    def of(
        cls, lattice: Lattice, scores: npt.NDArray[np.float32], docs: Sequence[Doc], *, by_sentence: bool
    ) -> "DecodedBatch":
        """Decode tag scores.

        lattice (Lattice): The legal tag sequences.
        scores (ndarray): Tag scores of all documents' tokens. (tokens, tags)
        docs (Sequence[Doc]): The documents.
        by_sentence (bool): Whether entities end at sentence boundaries, where a document has them.
        RETURNS (DecodedBatch): The batch.
        """
        by_doc = [_sentence_lengths(doc) if by_sentence else np.array([len(doc)]) for doc in docs]
        lengths = np.concatenate(by_doc)
        spans = read_spans(lattice, viterbi(lattice, scores, lengths), lengths)
        offsets = np.concatenate([np.cumsum(own) - own for own in by_doc])[spans.sequence]
        owner = np.repeat(np.arange(len(docs)), [len(own) for own in by_doc])[spans.sequence]
        return cls(lattice, scores, lengths, spans, owner, offsets + spans.start, offsets + spans.end)

    def judge(self, temperature: float, offsets: Mapping[str, float] | None = None) -> Posteriors:
        """Compute the entities' confidences.

        temperature (float): Divides the tags' scores.
        offsets (Mapping[str, float] | None): What is added to the log-odds of entities, by label; 0 for others.
        RETURNS (Posteriors): Of the entities, in order.
        """
        judged = posteriors(self.lattice, self.scores, self.lengths, self.spans, temperature)
        return judged.shift(np.array([(offsets or {}).get(label, 0.0) for label in self.lattice.labels]))


def _sentence_lengths(doc: Doc) -> Ints:
    """Count the tokens of each sentence; all of them where no component has set sentence starts."""
    if not len(doc) or not doc.has_annotation("SENT_START"):
        return np.array([len(doc)])
    starts = np.flatnonzero(doc.to_array("SENT_START") == 1)
    return np.diff(np.concatenate([[0], starts[starts > 0], [len(doc)]]))
