"""Time and memory of training on this device, estimated from a few updates."""

import sys
from collections.abc import Iterable
from itertools import chain, islice
from time import perf_counter
from typing import Any

import torch
from spacy.language import Language
from spacy.training import Example
from spacy.training.loop import train_while_improving

from .updates import longest_run

UPDATES = 2
EVALUATED_WORDS = 2000


def estimate(nlp: Language, splits: dict[str, list[Example]], training: dict[str, Any]) -> dict[str, Any]:
    """Time updates, after one for warm-up, and an evaluation. The pipeline's weights change.

    nlp (Language): An initialized pipeline.
    splits (dict[str, list[Example]]): The examples of "train" and "dev".
    training (dict[str, Any]): The resolved [training] block.
    RETURNS (dict[str, Any]): Seconds of an epoch, of an evaluation and of the longest possible run, None where only
        patience ends it; the evaluations' share of it; and the peak memory in bytes.
    """
    batcher = training["batcher"]
    # A small corpus is repeated.
    batches = chain.from_iterable(batcher(splits["train"]) for _ in range(UPDATES + 1))
    times = time_updates(nlp, islice(batches, UPDATES + 1), training)
    timed = times[1:] or times
    epoch = (
        sum(seconds for seconds, _ in timed) / max(sum(size for _, size in timed), 1) * count_tokens(splits["train"])
    )
    evaluation = time_evaluation(nlp, splits["dev"]) * count_tokens(splits["dev"])
    steps = sum(1 for _ in batcher(splits["train"]))
    between = epoch / max(steps, 1) * training["eval_frequency"]
    run = longest_run(training, steps)
    return {
        "updates_timed": len(timed),
        "steps_per_epoch": steps,
        "epoch_seconds": epoch,
        "evaluation_seconds": evaluation,
        "evaluations_share": evaluation / (evaluation + between),
        "run_seconds": None if run is None else run / training["eval_frequency"] * (between + evaluation),
        "peak_memory_bytes": peak_memory(),
    }


def time_updates(nlp: Language, batches: Iterable[list[Example]], training: dict[str, Any]) -> list[tuple[float, int]]:
    """Train on a few batches by spaCy's loop. RETURNS (list[tuple[float, int]]): Seconds and words of each."""
    steps = train_while_improving(
        nlp,
        training["optimizer"],
        ((0, batch) for batch in batches),
        lambda: (0.0, {}),
        dropout=training["dropout"],
        eval_frequency=training["eval_frequency"],
        accumulate_gradient=training["accumulate_gradient"],
        patience=0,
        max_steps=0,
        exclude=training["frozen_components"],
        annotating_components=training["annotating_components"],
        before_update=training["before_update"],
    )
    times = []
    start = perf_counter()
    for batch, _, _ in steps:
        # A GPU computes asynchronously.
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append((perf_counter() - start, count_tokens(batch)))
        start = perf_counter()
    return times


def time_evaluation(nlp: Language, dev: list[Example]) -> float:
    """Evaluate on the first documents. RETURNS (float): Seconds per word."""
    chosen, taken = [], 0
    for example in dev:
        if taken >= EVALUATED_WORDS:
            break
        chosen.append(example)
        taken += len(example.predicted)
    start = perf_counter()
    nlp.evaluate(chosen)
    return (perf_counter() - start) / max(taken, 1)


def count_tokens(examples: Iterable[Example]) -> int:
    """RETURNS (int): Tokens of the examples."""
    return sum(len(example.predicted) for example in examples)


def peak_memory() -> dict[str, int]:
    """RETURNS (dict[str, int]): Peak memory of this process in bytes: main memory, and the GPU's if used."""
    found = {}
    # Windows has no such module.
    if sys.platform != "win32":
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found["main"] = peak if sys.platform == "darwin" else peak * 1024
    return found | ({"gpu": torch.cuda.max_memory_allocated()} if torch.cuda.is_available() else {})
