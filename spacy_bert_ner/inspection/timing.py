"""What training will take on this device, from a few real updates."""

import resource
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from time import perf_counter
from typing import Any

from spacy.language import Language
from spacy.training import Example

UPDATES = 2
EVALUATED_WORDS = 2000


def estimate(
    nlp: Language,
    splits: dict[str, list[Example]],
    batcher: Callable[[Iterable[Example]], Iterable[Sequence[Example]]],
    training: dict[str, Any],
) -> dict[str, Any]:
    """Time updates, after one that warms up, and an evaluation. The pipeline's weights change.

    nlp (Language): An initialized pipeline.
    splits (dict[str, list[Example]]): The examples of "train" and "dev".
    batcher (Callable): The config's batcher.
    training (dict[str, Any]): The resolved [training] block.
    RETURNS (dict[str, Any]): Seconds of an epoch, of an evaluation and of the run, the evaluations' share of it, and
        the peak memory in bytes.
    """
    import torch

    optimizer, frozen = training["optimizer"], training["frozen_components"]
    times = []
    for batch in islice(batcher(splits["train"]), UPDATES + 1):
        begun = perf_counter()
        nlp.update(list(batch), drop=training["dropout"], sgd=optimizer, exclude=frozen)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append((perf_counter() - begun, words(batch)))
    timed = times[1:] or times
    dev, taken = [], 0
    for example in splits["dev"]:
        if taken >= EVALUATED_WORDS:
            break
        dev.append(example)
        taken += len(example.reference)
    begun = perf_counter()
    nlp.evaluate(dev)
    per_dev_word = (perf_counter() - begun) / max(taken, 1)
    epoch = sum(seconds for seconds, _ in timed) / max(sum(size for _, size in timed), 1) * words(splits["train"])
    evaluation = per_dev_word * words(splits["dev"])
    steps = sum(1 for _ in batcher(splits["train"]))
    every = training["eval_frequency"] / max(steps, 1)
    return {
        "updates_timed": len(timed),
        "steps_per_epoch": steps,
        "epoch_seconds": epoch,
        "evaluation_seconds": evaluation,
        "evaluations_share": evaluation / (evaluation + epoch * every) if every else 1.0,
        "peak_memory_bytes": peak_memory(),
    }


def words(examples: Iterable[Example]) -> int:
    """RETURNS (int): Tokens of the examples."""
    return sum(len(example.predicted) for example in examples)


def peak_memory() -> dict[str, int]:
    """RETURNS (dict[str, int]): The most bytes this process has held so far: main memory, and the GPU's if used."""
    import torch

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"main": most if sys.platform == "darwin" else most * 1024}
    return found | ({"gpu": torch.cuda.max_memory_allocated()} if torch.cuda.is_available() else {})
