"""New labels without forgetting: the old model is the teacher for whatever the new data say nothing of.

Data annotated with some labels look fully annotated, but their `O` means "none of these" only:

    gold        Jane     met     IBM      on      Monday      annotated: DATE
                O        O       O        O       B-DATE
    it may be   O, B-PER, …                       B-DATE      O: any tag of a label that is not annotated
    old model   B-PER    O       B-ORG    O                   its distribution, among what it may be, is the target
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import to_numpy
from thinc.types import Ragged

from spacy_bert_ner.arrays import Array, Bools, Floats, Ints
from spacy_bert_ner.decoding import Lattice, tag_marginals
from spacy_bert_ner.encoder.vectors import first_pieces

from .losses import RULED_OUT
from .soft_losses import log_softmax
from .teacher import Teacher, translate_tags
from .teaching import Batch


class Extended(NamedTuple):
    """A teacher's distribution over the tags of a component that has more labels, at every token of a batch.

    scores (Floats): Its logarithms, not normalised; RULED_OUT for what the annotation rules out. (tokens, tags)
    shares (Floats): Logarithm of a tag's share in what the teacher gives to `O`, 0 for tags that it knows. Of the
        same shape.
    """

    scores: Floats
    shares: Floats


@dataclass(frozen=True, eq=False)
class Keeping:
    """Learning from gold tags that say nothing of some labels, and of those from a teacher.

    The loss is the cross-entropy to the teacher's distribution among what the annotation allows: that is the likelihood
    of what is allowed, and the cross-entropy within. By `loss = "token"` it is each token's, by "sequence" that of the
    legal sequences.

    teacher (Teacher): The old model.
    annotated (tuple[str, ...] | None): The labels that the training data are annotated with; by default those that the
        teacher does not know.
    """

    teacher: Teacher
    annotated: tuple[str, ...] | None = None

    def annotated_labels(self, labels: Sequence[str]) -> tuple[str, ...]:
        """RETURNS (tuple[str, ...]): The annotated ones of a component's labels. RAISES: ValueError for others."""
        if self.annotated is None:
            return tuple(label for label in labels if label not in self.teacher.lattice.labels)
        if unknown := [label for label in self.annotated if label not in labels]:
            raise ValueError(
                f"annotated = {', '.join(self.annotated)}: {', '.join(unknown)} is none of the component's labels "
                f"{', '.join(labels)}; add_label adds it"
            )
        return self.annotated

    def learn(self, batch: Batch) -> tuple[float, Ragged]:
        """RETURNS (tuple[float, Ragged]): The loss in nats, and its gradient. batch (Batch): The batch."""
        allowed = allowed_tags(batch.lattice, batch.tags, self.annotated_labels(batch.lattice.labels))
        extended = self._extend(batch, allowed)
        every = np.ones(len(batch.examples))
        if batch.loss == "token":
            targets, lengths = np.exp(log_softmax(extended.scores)), batch.lengths
            soft, gradient = batch.learn_tags(targets, every)
        else:
            _, targets = tag_marginals(batch.lattice, extended.scores, batch.sizes)
            lengths = np.ones_like(batch.lengths)
            soft, gradient = batch.learn_sequences(targets, every)
        # How the component itself divides what the teacher knows as `O` is no loss.
        soft += float((lengths[:, None] * targets * extended.shares).sum())
        count = max(batch.rows_of_batch(int(lengths.sum())), 1)
        mean: Any = gradient / count
        return soft / count, Ragged(mean, batch.rows.lengths)

    def _extend(self, batch: Batch, allowed: Bools) -> Extended:
        """Give the teacher the component's tags.

        What it knows as `O` is `O` or a label that it lacks: as the component divides that now, among what is allowed.
        """
        docs = [example.predicted for example in batch.examples]
        known = translate_tags(self.teacher.log_probs(docs), self.teacher.lattice, batch.lattice)
        logits: Array = to_numpy(batch.rows.dataXd).astype(np.float64)[first_pieces(batch.lengths)]
        labels = [tag.partition("-")[2] for tag in batch.lattice.tags]
        is_new = np.array([label not in self.teacher.lattice.labels for label in labels])
        divided = log_softmax(np.where(is_new & allowed, logits, RULED_OUT))
        shares = np.where(is_new & allowed, divided, 0.0)
        scores = np.where(is_new, known[:, :1] + divided, known)
        return Extended(np.where(allowed, scores, RULED_OUT), shares)

    def scorable(self, examples: Sequence[Example]) -> list[Example]:
        """Leave out predicted entities that the gold data say nothing of: neither annotated, nor among them at all.

        examples (Sequence[Example]): All documents to be scored.
        RETURNS (list[Example]): Others, with the same references.
        """
        judged = {ent.label_ for example in examples for ent in example.reference.ents}
        kept = [label for label in self.teacher.lattice.labels if label not in {*judged, *(self.annotated or ())}]
        return [Example(_without(example.predicted, kept), example.reference) for example in examples]


def allowed_tags(lattice: Lattice, tags: Ints, annotated: Sequence[str]) -> Bools:
    """Say which tags the annotation allows.

    lattice (Lattice): Of the tags.
    tags (Ints): Gold tag of each token, -1 where it is missing. (tokens,)
    annotated (Sequence[str]): The labels of which `O` says that they are not there.
    RETURNS (Bools): (tokens, tags)
    """
    silent = np.array([tag.partition("-")[2] not in annotated for tag in lattice.tags])
    # By gold tag, and at the end for a missing one.
    by_tag = np.vstack([np.eye(len(lattice.tags), dtype=bool), np.ones_like(silent)])
    by_tag[0] = silent
    return by_tag[tags]


def _without(doc: Doc, labels: Sequence[str]) -> Doc:
    """RETURNS (Doc): A copy of a document without the entities of some labels."""
    copied = doc.copy()
    copied.set_ents(
        [Span(copied, ent.start, ent.end, label=ent.label) for ent in doc.ents if ent.label_ not in labels],
        default="outside",
    )
    return copied
