"""A decoded batch of documents: what lies between logits and entities of a Doc."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Ragged

from spacy_bert_ner.arrays import Ints
from spacy_bert_ner.decoding import Lattice, Posteriors, Spans, span_posteriors, tags_to_spans, viterbi
from spacy_bert_ner.encoder.vectors import first_pieces
from spacy_bert_ner.tags import Entity

from .annotations import DocEntities, trim_whitespace
from .upstream import require_transformer_output


def tag_logits(model: Model[list[Doc], Ragged], docs: Sequence[Doc], name: str) -> npt.NDArray[np.float32]:
    """Compute every token's logits. Where several pieces of a word have some, its first one decides.

    model (Model[list[Doc], Ragged]): A component's model.
    docs (Sequence[Doc]): The documents, at least one with a token.
    name (str): The component's name, for errors.
    RETURNS (ndarray): (tokens, tags)
    RAISES: ValueError where the model reads a transformer's output that a document does not have.
    """
    require_transformer_output(model, docs, name)
    rows = model.predict(list(docs))
    return np.asarray(model.ops.to_numpy(rows.dataXd))[first_pieces(np.asarray(rows.lengths))]


@dataclass(frozen=True, eq=False)
class DecodedBatch:
    """The best legal tags of a batch, and what it takes to judge their entities.

    lattice (Lattice): The legal tag sequences.
    logits (ndarray): Logits of all documents' tokens. (tokens, tags)
    lengths (ndarray): Tokens of each sequence, a sentence or a document. (sequences,)
    spans (Spans): The entities, within their sequences.
    doc (ndarray): Index of each entity's document. (entities,)
    start, end (ndarray): Its tokens within that document, end exclusive. (entities,)
    """

    lattice: Lattice
    logits: npt.NDArray[np.float32]
    lengths: Ints
    spans: Spans
    doc: Ints
    start: Ints
    end: Ints

    @classmethod
    def of(
        cls, lattice: Lattice, logits: npt.NDArray[np.float32], docs: Sequence[Doc], *, by_sentence: bool
    ) -> "DecodedBatch":
        """Decode logits.

        lattice (Lattice): The legal tag sequences.
        logits (ndarray): Logits of all documents' tokens. (tokens, tags)
        docs (Sequence[Doc]): The documents.
        by_sentence (bool): Whether entities end at sentence boundaries, where a document has them.
        RETURNS (DecodedBatch): The batch.
        """
        by_doc = [_sentence_lengths(doc) if by_sentence else np.array([len(doc)]) for doc in docs]
        lengths = np.concatenate(by_doc)
        spans = tags_to_spans(lattice, viterbi(lattice, logits, lengths), lengths)
        offsets = np.concatenate([np.cumsum(own) - own for own in by_doc])[spans.sequence]
        owner = np.repeat(np.arange(len(docs)), [len(own) for own in by_doc])[spans.sequence]
        return cls(lattice, logits, lengths, spans, owner, offsets + spans.start, offsets + spans.end)

    def judge(self, temperature: float, offsets: Mapping[str, float] | None = None) -> Posteriors:
        """Compute the entities' confidences.

        temperature (float): Divides the tags' logits.
        offsets (Mapping[str, float] | None): What is added to the log-odds of entities, by label; 0 for others.
        RETURNS (Posteriors): Of the entities, in order; with a fitted temperature and offsets they are confidences.
        """
        judged = span_posteriors(self.lattice, self.logits, self.lengths, self.spans, temperature)
        return judged.shift(np.array([(offsets or {}).get(label, 0.0) for label in self.lattice.labels]))

    def split(self, docs: Sequence[Doc], judged: Posteriors, threshold: float) -> list[DocEntities]:
        """Hand the entities out to their documents, without white space at their ends.

        docs (Sequence[Doc]): The documents.
        judged (Posteriors): Of the entities: what `judge` gave.
        threshold (float): The least confidence of an entity that is kept.
        RETURNS (list[DocEntities]): Each document's.
        """
        kept = np.flatnonzero(judged.posterior >= threshold)
        bounds = np.searchsorted(self.doc[kept], np.arange(len(docs) + 1))
        runner_up = judged.runner_up
        return [
            self._of_doc(doc, judged, runner_up, kept[start:end])
            for doc, start, end in zip(docs, bounds, bounds[1:], strict=False)
        ]

    def _of_doc(
        self, doc: Doc, judged: Posteriors, runner_up: tuple[np.ndarray, np.ndarray], chosen: np.ndarray
    ) -> DocEntities:
        """Put together what was found in one document. chosen: (entities,) of the batch."""
        labels = self.lattice.labels
        found = (Entity(int(self.start[i]), int(self.end[i]), labels[self.spans.label[i]]) for i in chosen)
        trimmed = [trim_whitespace(doc, entity) for entity in found]
        kept = [k for k, entity in enumerate(trimmed) if entity.start < entity.end]
        chosen = chosen[kept]
        other, other_posteriors = runner_up
        return DocEntities(
            [trimmed[k] for k in kept],
            judged.posterior[chosen].astype(np.float32),
            judged.any_label[chosen].astype(np.float32),
            ["" if i < 0 else labels[i] for i in other[chosen]],
            other_posteriors[chosen].astype(np.float32),
        )


def _sentence_lengths(doc: Doc) -> Ints:
    """Count the tokens of each sentence; all of them where no component has set sentence starts."""
    if not len(doc) or not doc.has_annotation("SENT_START"):
        return np.array([len(doc)])
    starts = np.flatnonzero(doc.to_array("SENT_START") == 1)
    return np.diff(np.concatenate([[0], starts[starts > 0], [len(doc)]]))
