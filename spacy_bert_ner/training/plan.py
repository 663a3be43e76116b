"""What `spacy train` cannot work out for itself: how many steps so many epochs are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
from spacy.training import Corpus
from spacy.util import registry
from thinc.api import Config

from spacy_bert_ner.ner.lengths import lift_max_length


@dataclass(frozen=True)
class StepPlan:
    """The steps of a training run.

    epoch (int): Optimizer steps in one pass over the corpus.
    total (int): Steps in all.
    warmup (int): Steps in which the learning rate rises.
    evaluation (int): Steps from one evaluation to the next; divides `total`, so that the last weights are scored.
    patience (int): Steps without a better score after which training stops.
    """

    epoch: int
    total: int
    warmup: int
    evaluation: int
    patience: int

    def overrides(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): The plan as overrides of a training config."""
        return {
            "training.max_steps": self.total,
            "training.patience": self.patience,
            "training.eval_frequency": self.evaluation,
            "training.optimizer.learn_rate.warmup_steps": self.warmup,
            "training.optimizer.learn_rate.total_steps": self.total,
        }


def plan_steps(epoch: int, epochs: float, evaluations: int) -> StepPlan:
    """Lay out a run: a tenth of it is warm-up, and half of it without a better score ends it.

    epoch (int): Steps in one epoch.
    epochs (float): How many epochs to train for.
    evaluations (int): How often to evaluate over the whole run, at most once a step.
    RETURNS (StepPlan): The plan. Its total is epochs * epoch, rounded to a multiple of the evaluation interval.
    RAISES: ValueError where a number is not positive.
    """
    if epoch < 1 or epochs <= 0 or evaluations < 1:
        raise ValueError(
            f"Steps per epoch ({epoch}), epochs ({epochs}) and evaluations ({evaluations}) must all be positive"
        )
    steps = epoch * epochs
    interval = max(1, round(steps / evaluations))
    total = interval * max(1, round(steps / interval))
    return StepPlan(epoch, total, max(1, total // 10), interval, max(interval, total // 2))


def count_batches(config: Config, train_path: Path) -> int:
    """Count the steps of one epoch: what the config's batcher makes of the training corpus.

    config (Config): A training config, variables not yet filled in.
    train_path (Path): The training corpus, `.spacy`.
    RETURNS (int): Batches of its annotated words: where an augmenter gives each document in several forms, these share
        the steps. The shuffling of later epochs may make it a few more or less.
    """
    batcher = registry.resolve({"batcher": config.interpolate()["training"]["batcher"]})["batcher"]
    nlp = spacy.blank(config["nlp"]["lang"])
    lift_max_length(nlp)
    examples = Corpus(train_path)(nlp)
    return sum(1 for _ in batcher(examples))
