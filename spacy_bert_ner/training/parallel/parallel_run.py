"""A training run in several processes: each has the whole pipeline in memory, and learns from a part of every batch.

All draw the same batches and have the same `Progress`; an error that depends on the batch or on the sum of the losses
is raised in all of them.
"""

from typing import Any

from spacy.language import Language
from spacy.training import Example

from spacy_bert_ner.encoder.shim import EncoderShim
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.training.checkpoints import Checkpoint
from spacy_bert_ner.training.distillation.taught_corpus import TaughtCorpus
from spacy_bert_ner.training.loop import Run
from spacy_bert_ner.training.optimizer import AdamW
from spacy_bert_ner.training.parameters import Parameters
from spacy_bert_ner.training.randomness import drawn_apart
from spacy_bert_ner.training.training_error import RunError

from .balancing import share_out
from .divisor import Divisor
from .exchange import Exchange
from .group import Group
from .partitioned_adamw import PartitionedAdamW
from .shared_evaluation import SharedEvaluation


class ParallelRun(Run):
    """A `Run` that several processes share.

    nlp (Language): The initialized pipeline, the same in every process.
    group (Group): The processes.
    corpus (TaughtCorpus | None): As in `Run`.
    RAISES: RunError for what several processes cannot train.
    """

    def __init__(self, nlp: Language, group: Group, corpus: TaughtCorpus | None = None) -> None:
        super().__init__(nlp, group, corpus)
        self._trained = trained_components(nlp, self.frozen)
        require_divisible(self._trained)
        require_unscaled(self.parameters)
        if not isinstance(self.optimizer, AdamW):
            raise RunError(
                f"[training.optimizer] is a {type(self.optimizer).__name__} of thinc's, which several processes cannot "
                'share: set @optimizers = "spacy-bert-ner.AdamW.v1", or train with one process'
            )
        self.optimizer = PartitionedAdamW(self.optimizer, Exchange(group, self.parameters), self.parameters)
        self.evaluate = SharedEvaluation(nlp, self.dev_corpus, self.settings["score_weights"], group)
        self._divisors: list[Divisor] = []
        for pipe in self._trained.values():
            if isinstance(pipe, BertNER):
                pipe.rows_of_batch = divisor = Divisor(group)
                self._divisors.append(divisor)

    def load(self, saved: Checkpoint) -> None:
        super().load(saved)
        # Into the shared memory: no process may continue while another still writes.
        self.group.wait()

    def _update(self, step: int, batch: list[Example]) -> None:
        self.group.require_same(self.stream.digest, "Corpus reader and batcher do not give the same documents")
        with drawn_apart(self.group.rank):
            super()._update(step, batch)

    def _learn(self, part: list[Example], dropout: float, losses: dict[str, float]) -> None:
        own = [part[i] for i in share_out(self._costs(part), self.group.size)[self.group.rank]]
        found = dict.fromkeys(self._trained, 0.0)
        super()._learn(own, dropout, found)
        for divisor in self._divisors:
            divisor.settle()
        for name, loss in zip(found, self.group.add(found.values()), strict=True):
            losses[name] = losses.get(name, 0.0) + loss

    def _costs(self, part: list[Example]) -> list[int]:
        """RETURNS: Of each document, the word pieces; words where the pipeline has no encoder of ours."""
        shims = [shim for shim in self.parameters.shims.values() if isinstance(shim, EncoderShim)]
        docs = [example.predicted for example in part]
        if not shims:
            return list(map(len, docs))
        pieces = shims[0].pieces
        return [
            int(pieces.encode([token.text for token in doc], pieces.settings["limit"]).counts.sum()) for doc in docs
        ]


def trained_components(nlp: Language, frozen: list[str]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The components that a run trains, by name."""
    return {name: pipe for name, pipe in nlp.pipeline if name not in frozen and getattr(pipe, "is_trainable", False)}


def require_divisible(trained: dict[str, Any]) -> None:
    """Refuse components whose losses would be divided by a part of the batch only; listened-to ones have no loss.

    trained (dict[str, Any]): The components that are trained, by name.
    RAISES: RunError that names them.
    """
    others = [
        name for name, pipe in trained.items() if not isinstance(pipe, BertNER) and not hasattr(pipe, "listeners")
    ]
    if others:
        raise RunError(
            f"Several processes can train bert_ner and what it listens to, but the pipeline also trains "
            f"{', '.join(others)}, whose losses they would divide by a part of each batch. Add {', '.join(others)} to "
            "[training] frozen_components, or train with one process"
        )


def require_unscaled(parameters: Parameters) -> None:
    """Refuse fp16, in which processes would skip different steps. RAISES: RunError that names the component."""
    for place, shim in parameters.shims.items():
        if shim.scales_gradients:
            raise RunError(
                f"Component {place.split('/')[0]!r} trains in fp16, which several processes cannot: set precision to "
                "bf16 or fp32, or train with one process"
            )
