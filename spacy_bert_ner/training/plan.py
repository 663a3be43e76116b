"""The number of steps of a number of epochs, which `spacy train` does not compute."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import spacy
from spacy.language import DEFAULT_CONFIG
from spacy.training import Example
from spacy.util import dot_to_object, registry, resolve_dot_names
from thinc.api import Config

from spacy_bert_ner.ner.lengths import lift_max_length

from .supervision import NO_TOKENS
from .training_error import RunError

MAX_STEPS, EVAL_FREQUENCY = "training.max_steps", "training.eval_frequency"
TOTAL_STEPS = "training.optimizer.learn_rate.total_steps"


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
            MAX_STEPS: self.total,
            "training.patience": self.patience,
            EVAL_FREQUENCY: self.evaluation,
            "training.optimizer.learn_rate.warmup_steps": self.warmup,
            TOTAL_STEPS: self.total,
        }


def plan_steps(epoch: int, epochs: float, evaluations: int, min_steps: int = 0) -> StepPlan:
    """Plan a run: a tenth of it is warm-up, and half of it without a better score, never the warm-up, ends it.

    epoch (int): Steps in one epoch.
    epochs (float): How many epochs to train for.
    evaluations (int): How often to evaluate over the whole run, at most once a step.
    min_steps (int): The minimum of steps, however many epochs these are.
    RETURNS (StepPlan): The plan. Its total is epochs * epoch, or `min_steps` where these are more, rounded to a
        multiple of the evaluation interval.
    RAISES: ValueError where a number is not positive.
    """
    if epoch < 1 or epochs <= 0 or evaluations < 1:
        raise ValueError(
            f"Steps per epoch ({epoch}), epochs ({epochs}) and evaluations ({evaluations}) must all be positive"
        )
    steps = max(epoch * epochs, min_steps)
    interval = max(1, round(steps / evaluations))
    total = interval * max(1, round(steps / interval))
    warmup = max(1, total // 10)
    return StepPlan(epoch, total, warmup, interval, max(interval + warmup, total // 2))


def with_defaults(config: Config) -> Config:
    """RETURNS (Config): A config with spaCy's own defaults where it says nothing, and variables filled in."""
    return Config(DEFAULT_CONFIG).merge(config).interpolate()


def read_annotated(config: Config) -> list[Example]:
    """Read a config's training corpus as it is annotated: without what an augmenter makes of it.

    config (Config): A training config, variables not yet filled in.
    RETURNS (list[Example]): Its documents.
    RAISES: RunError where the corpus holds no tokens, or has no end.
    """
    filled = with_defaults(config)
    training = filled["training"]
    if training["max_epochs"] == -1:
        raise RunError(f"The steps of a streamed corpus (max_epochs = -1) cannot be counted: set --{MAX_STEPS}")
    nlp = spacy.blank(filled["nlp"]["lang"])
    lift_max_length(nlp)
    # Where there is no such corpus, spaCy says it better.
    with suppress(KeyError):
        reader = dot_to_object(filled, training["train_corpus"])
        reader |= {"augmenter": None} if "augmenter" in reader else {}
    (corpus,) = resolve_dot_names(filled, [training["train_corpus"]])
    examples: list[Example] = list(corpus(nlp))
    if not any(map(len, examples)):
        raise RunError(NO_TOKENS.format(split="train"))
    return examples


def corpus_words(examples: Iterable[Example]) -> int:
    """RETURNS (int): The annotated tokens of a corpus."""
    return sum(len(example.reference) for example in examples)


def count_batches(config: Config, examples: Iterable[Example]) -> int:
    """Count the steps of one epoch: what the config's batcher makes of its training corpus.

    config (Config): A training config, variables not yet filled in.
    examples (Iterable[Example]): What `read_annotated` gives: where an augmenter gives each document in several forms,
        these share the steps.
    RETURNS (int): Batches. The shuffling of later epochs may make it a few more or less.
    RAISES: RunError where the corpus gives no batch.
    """
    batcher = registry.resolve({"batcher": with_defaults(config)["training"]["batcher"]})["batcher"]
    batches = sum(1 for _ in batcher(examples))
    if not batches:
        raise RunError("[training.batcher] leaves out every document of train: set discard_oversize = false")
    return batches
