"""What a component learns from instead of gold tags alone: the loss is then this one's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
from spacy.training import Example
from thinc.api import get_array_module
from thinc.types import Ragged

from spacy_bert_ner.arrays import Array, Floats, Ints
from spacy_bert_ner.checks import check_choice, check_number
from spacy_bert_ner.decoding import Lattice, tag_marginals
from spacy_bert_ner.encoder.vectors import first_pieces

from .component_settings import Loss
from .gold import NO_TAG
from .losses import loss_of_rows
from .soft_losses import log_softmax, soft_sequence_loss, soft_token_loss

Match = Literal["tags", "sequences"]
# Gives the logarithms of a teacher's distributions over a lattice's tags, -inf for labels that it does not know, for
# all tokens of some examples. (tokens, tags)
LookUp = Callable[[Sequence[Example], Lattice], Floats]


class Batch(NamedTuple):
    """A batch that a component learns from.

    loss (str): The component's, "token" or "sequence".
    lattice (Lattice): The legal sequences of its tags.
    rows (Ragged): Logits. (rows, tags), rows per token
    examples (Sequence[Example]): The batch.
    tags (Ints): Gold tag of each token, -1 where it is missing. (tokens,)
    rows_of_batch (Callable[[int], int]): Gives the rows of the whole batch for those that are here.
    """

    loss: Loss
    lattice: Lattice
    rows: Ragged
    examples: Sequence[Example]
    tags: Ints
    rows_of_batch: Callable[[int], int]

    @property
    def sizes(self) -> Ints:
        """RETURNS (Ints): Tokens of each document. (documents,)"""
        return np.array([len(example.predicted) for example in self.examples], dtype=np.int64)

    @property
    def lengths(self) -> Ints:
        """RETURNS (Ints): Rows of each token. (tokens,)"""
        return np.asarray(self.rows.lengths, dtype=np.int64)

    def learn_tags(self, targets: Floats, weights: Floats, temperature: float = 1.0) -> tuple[float, Array]:
        """Compute `soft_token_loss` over all rows.

        targets (Floats): (tokens, tags)
        weights (Floats): Of each document. (documents,)
        RETURNS (tuple[float, Array]): The sum in nats, and its gradient. (rows, tags)
        """
        logits: Any = self.rows.dataXd
        of_tokens = np.repeat(weights, self.sizes)
        return soft_token_loss(
            logits, np.repeat(targets, self.lengths, axis=0), np.repeat(of_tokens, self.lengths), temperature
        )

    def learn_sequences(self, targets: Floats, weights: Floats, temperature: float = 1.0) -> tuple[float, Array]:
        """Compute `soft_sequence_loss` over the first piece of each word. All arguments: as `learn_tags`."""
        logits: Any = self.rows.dataXd
        xp = get_array_module(logits)
        first = xp.asarray(first_pieces(self.lengths))
        value, of_first = soft_sequence_loss(self.lattice, logits[first], self.sizes, targets, weights, temperature)
        gradient = xp.zeros_like(logits)
        gradient[first] = of_first
        return value, gradient


class Teaching(Protocol):
    """What a component learns from."""

    def learn(self, batch: Batch) -> tuple[float, Ragged]:
        """RETURNS (tuple[float, Ragged]): The loss in nats, and its gradient. batch (Batch): The batch."""
        ...


@dataclass(frozen=True, eq=False)
class Distilling:
    """Distillation: a teacher's distributions, weighed against gold tags where a document is annotated.

    look_up (LookUp): The teacher's distributions.
    weight (float): Of the teacher in annotated documents, from 0 to 1; the rest is the gold tags'. Documents without
        annotation are learnt from the teacher alone.
    temperature (float): What the logits of both are divided by.
    match (str): "tags", each token's distribution, or "sequences", the distribution over all legal tag sequences.
    RAISES: ValueError for a setting out of range.
    Source: Hinton et al. 2015; Wang et al. 2020 for sequences.
    """

    look_up: LookUp
    weight: float = 0.7
    temperature: float = 2.0
    match: Match = "sequences"

    def __post_init__(self) -> None:
        check_distilling("distillation", self.weight, self.temperature, self.match)

    def learn(self, batch: Batch) -> tuple[float, Ragged]:
        """RETURNS (tuple[float, Ragged]): The loss in nats, and its gradient. batch (Batch): The batch."""
        sizes = batch.sizes
        known = np.repeat(batch.tags != NO_TAG, batch.lengths)
        count = max(batch.rows_of_batch(len(known)), 1)
        gold, d_gold = loss_of_rows(batch.loss, batch.lattice, batch.rows, sizes.tolist(), batch.tags, lambda _: count)
        cooled = self.look_up(batch.examples, batch.lattice) / self.temperature
        has_gold = np.array([bool((tags != NO_TAG).any()) for tags in np.split(batch.tags, np.cumsum(sizes)[:-1])])
        weights = np.where(has_gold, self.weight, 1.0)
        if self.match == "tags":
            soft, d_soft = batch.learn_tags(np.exp(log_softmax(cooled)), weights, self.temperature)
        else:
            _, posteriors = tag_marginals(batch.lattice, cooled, sizes)
            soft, d_soft = batch.learn_sequences(posteriors, weights, self.temperature)
        gradient: Any = (1 - self.weight) * d_gold.dataXd + d_soft / count
        return (1 - self.weight) * gold + soft / count, Ragged(gradient, batch.rows.lengths)


def check_distilling(section: str, weight: object, temperature: object, match: object) -> None:
    """Refuse settings of distillation out of range.

    section (str): What errors call the place of the settings.
    RAISES: ValueError that names setting, value and range.
    """
    check_number(section, "weight", weight, lambda x: 0 <= x <= 1, "a number from 0 to 1")
    check_number(section, "temperature", temperature, lambda x: 0 < x < float("inf"), "a number above 0")
    check_choice(section, "match", match, get_args(Match))
