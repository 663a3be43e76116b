"""Benchmark of training by several processes, beside one and beside independent ones: words per second.

    python benchmarks/parallel.py TRAIN.spacy ENCODER OUT.json [--config FILE] [--batches 1000 2000 4000]
        [--modes one apart together]

Every process computes in one thread. What is measured, in turns, after some steps to warm up, with all words seen
before, as they are in all epochs but the first:
    one          one process: the reference
    apart        independent runs of one process each, at once: the upper bound by memory bandwidth and clock rate
    together     `bert-ner train --processes`
    by sockets   the same without shared memory, as between machines
Shares are of a step's time in the first process: "learn" is forward and backward, "exchange" summing gradients, "move"
the optimizer's step, "wait" for other processes; the rest is the loop's. On a busy machine the figures mean nothing.
Needs fork.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from wasabi import msg

import spacy_bert_ner
from spacy_bert_ner.encoder.shim import EncoderShim
from spacy_bert_ner.ner.sourced import initialize
from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.training import running
from spacy_bert_ner.training.completion import load_completed
from spacy_bert_ner.training.loop import Run
from spacy_bert_ner.training.optimizer import AdamW
from spacy_bert_ner.training.parallel.exchange import Exchange
from spacy_bert_ner.training.parallel.group import Group, joined
from spacy_bert_ner.training.parallel.parallel_run import ParallelRun

RELEASE_CONFIG = Path(__file__).parent.parent / "configs" / "bert.cfg"
MODES = ("one", "apart", "together", "by sockets")
WARM_UP = 3
# Seconds of warm-up.
TIMEOUT = 600
# The parts of a step; time in a nested call counts for the inner part alone.
SHARES: dict[str, list[tuple[type, str]]] = {
    "learn": [(Run, "_learn"), (ParallelRun, "_learn")],
    "exchange": [(Exchange, "sum"), (Exchange, "norms"), (Exchange, "spread")],
    "move": [(AdamW, "_move")],
    "wait": [(Group, "add"), (Group, "sum_at"), (Group, "send_from")],
}


class Clock:
    """Adds up the time that functions take, without that of other such functions that they call."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = time.perf_counter()

    def _switch(self) -> None:
        now = time.perf_counter()
        self.seconds[self._open[-1] if self._open else "rest"] += now - self._since
        self._since = now

    def timed(self, name: str, function: Callable) -> Callable:
        def timing(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self._open.append(name)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self._open.pop()

        return timing

    @contextmanager
    def running(self) -> Iterator[None]:
        with ExitStack() as stack:
            for name, functions in SHARES.items():
                for owner, attribute in functions:
                    timing = self.timed(name, getattr(owner, attribute))
                    stack.enter_context(patch.object(owner, attribute, timing))
            self._since = time.perf_counter()
            yield
            self._switch()


def train(group: Group, config: Path, overrides: dict[str, Any], steps: int, barrier: Any) -> dict[str, Any]:
    """Make steps. RETURNS: Words per second of the group, and the shares of its time."""
    torch.set_num_threads(1)
    run = running.start_run(initialize(load_completed(config, overrides, gpu=False), use_gpu=-1), -1, None, group)
    run.evaluate = lambda: (0.0, {})  # type: ignore[assignment]
    words = [token.text for example in run.train_corpus(run.nlp) for token in example.predicted]
    for shim in run.parameters.shims.values():
        if isinstance(shim, EncoderShim):
            shim.pieces.encode(words, shim.pieces.settings["limit"])
    made = run.steps(lambda: None)
    for _ in range(WARM_UP):
        next(made)
    barrier.wait()
    before, clock = run.progress.words, Clock()
    with clock.running():
        for _ in range(steps):
            next(made)
    seconds = sum(clock.seconds.values())
    return {
        "words_per_second": (run.progress.words - before) / seconds,
        "milliseconds_a_step": 1000 * seconds / steps,
        "shares": {name: spent / seconds for name, spent in clock.seconds.items()},
    }


def work(pipe: Any, group: Group, store: str, is_without_memory: bool, arguments: tuple[Any, ...]) -> None:
    """A process's main function."""
    with ExitStack() as stack:
        if group.size > 1:
            stack.enter_context(joined(group, "gloo", store=dist.FileStore(store, group.size)))
        if is_without_memory:
            del os.memfd_create
        # Each process would print what the recipe decides.
        msg.no_print = True
        pipe.send(train(group, *arguments))


def measure(mode: str, processes: int, *arguments: Any) -> dict[str, Any]:
    """Measure one mode once. RETURNS: The first process's figures; words per second are of all processes."""
    context = get_context("fork")
    count = 1 if mode == "one" else processes
    barrier = context.Barrier(count, timeout=TIMEOUT)
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for rank in range(count):
            group = Group(rank, count) if mode in ("together", "by sockets") else Group()
            ours, theirs = context.Pipe(duplex=False)
            how = (theirs, group, f"{folder}/store", mode == "by sockets", (*arguments, barrier))
            started.append((context.Process(target=work, args=how), ours))
            started[-1][0].start()
            theirs.close()
        found = [pipe.recv() for _, pipe in started]
        for process, _ in started:
            process.join()
    if mode == "apart":
        found[0]["words_per_second"] = sum(each["words_per_second"] for each in found)
    return found[0]


def summarise(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """RETURNS: The medians of several rounds, and all their words per second."""
    speeds = [each["words_per_second"] for each in rounds]
    names = sorted({name for each in rounds for name in each["shares"]})
    return {
        "words_per_second": statistics.median(speeds),
        "rounds": speeds,
        "milliseconds_a_step": statistics.median(each["milliseconds_a_step"] for each in rounds),
        "shares": {name: statistics.median(each["shares"].get(name, 0.0) for each in rounds) for name in names},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the arguments, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="training corpus (.spacy)")
    parser.add_argument("encoder", help="folder or Hub id of the encoder")
    parser.add_argument("output", type=Path, help="where to write the figures (.json)")
    parser.add_argument("--config", type=Path, default=RELEASE_CONFIG, help="training config")
    parser.add_argument("--batches", type=int, nargs="+", default=[1000, 2000, 4000], help="words of a batch")
    parser.add_argument(
        "--modes", nargs="+", choices=MODES, default=list(MODES), help="what to measure beside one process"
    )
    parser.add_argument("--processes", type=int, default=2, help="as many as there are cores")
    parser.add_argument("--words", type=int, default=40000, help="words of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each")
    asked = parser.parse_args(arguments)
    modes = [mode for mode in MODES if mode == "one" or mode in asked.modes]
    figures: dict[str, Any] = {}
    for batch in asked.batches:
        steps = max(1, asked.words // batch)
        overrides = {
            "paths.train": str(asked.train),
            "paths.dev": str(asked.train),
            "paths.encoder": asked.encoder,
            "training.batcher.size": batch,
            "training.max_epochs": 0,
            "training.max_steps": WARM_UP + steps,
            "training.patience": 0,
        }
        rounds: dict[str, list[dict[str, Any]]] = {mode: [] for mode in modes}
        for _ in range(asked.rounds):
            for mode in modes:
                rounds[mode].append(measure(mode, asked.processes, asked.config, overrides, steps))
        found = {mode: summarise(each) for mode, each in rounds.items()}
        one = found["one"]["words_per_second"]
        for mode, each in found.items():
            each["to_one"] = each["words_per_second"] / one
            shares = ", ".join(f"{name} {share:.0%}" for name, share in each["shares"].items())
            msg.text(f"{batch:6} {mode:10} {each['words_per_second']:8.0f} words/s {each['to_one']:5.2f}  {shares}")
        figures[str(batch)] = found
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
    }
    setup = {"encoder": asked.encoder, "processes": asked.processes, "words": asked.words}
    versions = {"spacy_bert_ner": spacy_bert_ner.__version__, "torch": torch.__version__}
    content = {"machine": machine, "setup": setup, "versions": versions, "batches": figures}
    write_atomically(asked.output, (json.dumps(content, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
