"""Another model, or an earlier state of the same one, whose distributions over tags a component learns from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Model
from thinc.types import Ragged

from spacy_bert_ner.arrays import Floats
from spacy_bert_ner.decoding import Lattice

from .decoded import tag_logits
from .soft_losses import log_softmax
from .state import CheckedPipe
from .upstream import reads_upstream

LogProbs = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Teacher:
    """A trained component, to predict with only.

    model (Model[list[Doc], Ragged]): Documents to logits.
    lattice (Lattice): The legal sequences of its tags, which are the columns of its logits.
    name (str): What errors call it.
    vocab (Vocab): Its own.
    feeding (tuple[Any, ...]): The components whose output it reads, in their order.
    """

    model: Model[list[Doc], Ragged]
    lattice: Lattice
    name: str
    vocab: Vocab
    feeding: tuple[Any, ...] = ()

    @classmethod
    def copy_of(cls, component: CheckedPipe) -> Self:
        """Take a component as it is now: training it further changes nothing here.

        component (CheckedPipe): The component, with an encoder of its own.
        RETURNS (Teacher): The copy.
        RAISES: ValueError where it has no labels yet, or reads what another component computes, which training may
            change.
        """
        if not component.labels:
            raise ValueError(f"Component {component.name!r} has no entity types yet: there is nothing to keep")
        if reads_upstream(component.model):
            raise ValueError(
                f"Component {component.name!r} listens to another one, which training may change: name the saved "
                "pipeline whose entity types are to be kept, `train --keep MODEL`"
            )
        return cls(component.model.copy(), component.lattice, component.name, component.vocab)

    def log_probs(self, docs: Sequence[Doc]) -> LogProbs:
        """Compute the logarithm of each token's distribution over the tags.

        docs (Sequence[Doc]): Documents of any vocabulary, which stay as they are.
        RETURNS (LogProbs): (tokens, tags)
        """
        own = [
            Doc(self.vocab, words=[token.text for token in doc], spaces=[bool(token.whitespace_) for token in doc])
            for doc in docs
            if len(doc)
        ]
        if not own:
            return np.zeros((0, len(self.lattice.tags)), dtype=np.float32)
        for pipe in self.feeding:
            own = list(pipe.pipe(own))
        return log_softmax(tag_logits(self.model, own, self.name)).astype(np.float32)


def translate_tags(log_probs: LogProbs, lattice: Lattice, wanted: Lattice) -> Floats:
    """Give a distribution the tags of another model, by their names.

    Labels that the other model lacks are outside to it: what their tags have goes to `O`. Labels that only the other
    model has get -inf.

    log_probs (LogProbs): (rows, tags of lattice)
    lattice, wanted (Lattice): Of the tags that there are, and of those that are wanted, in one tag scheme.
    RETURNS (Floats): (rows, tags of wanted)
    RAISES: ValueError where the tag schemes differ.
    """
    if lattice.scheme != wanted.scheme:
        raise ValueError(
            f"The teacher's tag scheme is {lattice.scheme.name}, the component's {wanted.scheme.name}, and no tag of "
            f'one is a tag of the other: set scheme = "{lattice.scheme.name}" in the component\'s section'
        )
    column = {tag: i for i, tag in enumerate(lattice.tags)}
    found = np.full((len(log_probs), len(wanted.tags)), -np.inf)
    for i, tag in enumerate(wanted.tags):
        if tag in column:
            found[:, i] = log_probs[:, column.pop(tag)]
    for other in column.values():
        found[:, 0] = np.logaddexp(found[:, 0], log_probs[:, other])
    return found
