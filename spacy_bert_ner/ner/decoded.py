"""A decoded batch of documents: what lies between logits and entities of a Doc."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Ragged

from spacy_bert_ner.arrays import Bools, Floats, Ints
from spacy_bert_ner.decoding import Lattice, Posteriors, Spans, likely_spans, span_posteriors, tags_to_spans, viterbi
from spacy_bert_ner.encoder.vectors import first_pieces
from spacy_bert_ner.tags import Entity

from .annotations import DocEntities, cut_overlaps, trim_whitespace
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
    owner (ndarray): Index of each sequence's document. (sequences,)
    first (ndarray): Its first token within that document. (sequences,)
    spans (Spans): The entities, within their sequences: those of the best tags, or with others between (see `extend`).
    is_best (ndarray): Which of them are those of the best tags. (entities,)
    """

    lattice: Lattice
    logits: npt.NDArray[np.float32]
    lengths: Ints
    owner: Ints
    first: Ints
    spans: Spans
    is_best: Bools

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
        first = np.concatenate([np.cumsum(own) - own for own in by_doc])
        owner = np.repeat(np.arange(len(docs)), [len(own) for own in by_doc])
        return cls(lattice, logits, lengths, owner, first, spans, np.ones(len(spans.label), dtype=bool))

    @property
    def doc(self) -> Ints:
        """RETURNS (ndarray): Index of each entity's document. (entities,)"""
        return self.owner[self.spans.sequence]

    @property
    def start(self) -> Ints:
        """RETURNS (ndarray): Its first token within that document. (entities,)"""
        return self.first[self.spans.sequence] + self.spans.start

    @property
    def end(self) -> Ints:
        """RETURNS (ndarray): The one after its last token. (entities,)"""
        return self.first[self.spans.sequence] + self.spans.end

    def extend(
        self, least: Floats, longest: int, temperature: float, offsets: Mapping[str, float] | None = None
    ) -> "DecodedBatch":
        """Add further spans that are probable enough; they may overlap each other and the entities.

        least (Floats): By label, the least confidence of a span that is added. (labels,)
        longest (int): Maximum number of tokens of such a span.
        temperature, offsets: As in `judge`.
        RETURNS (DecodedBatch): The same batch with more entities, in the order of the text.
        """
        # Confidences are posteriors with shifted log-odds: shift the bounds back.
        factor, share = np.exp(-self._by_label(offsets)), np.minimum(least, 1.0)
        bounds = np.where(least > 1, np.inf, share * factor / (share * factor + 1 - share))
        more = likely_spans(self.lattice, self.logits, self.lengths, bounds, longest, temperature)
        every = np.concatenate([np.stack(self.spans), np.stack(more)], axis=1)
        spans, index = np.unique(every, axis=1, return_index=True)
        return replace(self, spans=Spans(*spans), is_best=index < len(self.spans.label))

    def judge(self, temperature: float, offsets: Mapping[str, float] | None = None) -> Posteriors:
        """Compute the entities' confidences.

        temperature (float): Divides the tags' logits.
        offsets (Mapping[str, float] | None): What is added to the log-odds of entities, by label; 0 for others.
        RETURNS (Posteriors): Of the entities, in order; with a fitted temperature and offsets they are confidences.
        """
        judged = span_posteriors(self.lattice, self.logits, self.lengths, self.spans, temperature)
        return judged.shift(self._by_label(offsets))

    def _by_label(self, offsets: Mapping[str, float] | None) -> Floats:
        return np.array([(offsets or {}).get(label, 0.0) for label in self.lattice.labels])

    def split(self, docs: Sequence[Doc], judged: Posteriors, least: Floats) -> list[DocEntities]:
        """Hand the entities out to their documents, without white space at their ends.

        docs (Sequence[Doc]): The documents.
        judged (Posteriors): Of the entities: what `judge` gave.
        least (Floats): By label, the least confidence of an entity that is kept. (labels,)
        RETURNS (list[DocEntities]): Each document's.
        """
        kept = np.flatnonzero(judged.posterior >= least[self.spans.label])
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
        places = zip(self.start[chosen].tolist(), self.end[chosen].tolist(), self.spans.label[chosen], strict=True)
        trimmed = [trim_whitespace(doc, Entity(start, end, labels[label])) for start, end, label in places]
        kept = [k for k, entity in enumerate(trimmed) if entity.start < entity.end]
        entities, chosen = [trimmed[k] for k in kept], chosen[kept]
        other, other_posteriors = runner_up
        pieces = None
        if not self.is_best.all():
            order = np.lexsort((-judged.posterior[chosen], ~self.is_best[chosen]))
            pieces = cut_overlaps(doc, entities, order.tolist())
        return DocEntities(
            entities,
            judged.posterior[chosen].astype(np.float32),
            judged.any_label[chosen].astype(np.float32),
            ["" if i < 0 else labels[i] for i in other[chosen]],
            other_posteriors[chosen].astype(np.float32),
            pieces,
        )


def _sentence_lengths(doc: Doc) -> Ints:
    """Count the tokens of each sentence; all of them where no component has set sentence starts."""
    if not len(doc) or not doc.has_annotation("SENT_START"):
        return np.array([len(doc)])
    starts = np.flatnonzero(doc.to_array("SENT_START") == 1)
    return np.diff(np.concatenate([[0], starts[starts > 0], [len(doc)]]))
