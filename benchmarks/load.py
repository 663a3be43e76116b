"""Benchmark of a loaded pipeline: memory and speed over a long stream of texts, and calls from several threads at once.

    python benchmarks/load.py MODEL CORPUS.spacy OUT.json [--words 1000000] [--warm-up 400000] [--threads 8]

The stream repeats the corpus's texts. Its beginning, the warm-up, is not counted: there, caches and spaCy's vocabulary
see every word for the first time, and torch's matrix library every shape, for each of which it caches a kernel. Slopes
are fitted by least squares. Needs Linux's /proc.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from wasabi import msg

from spacy_bert_ner.storage.files import write_atomically

# The number of words that slopes of memory and speed refer to.
UNIT = 100_000
TOLERANCE = 1e-4

Answer = list[tuple[int, int, str, float]]


class Sample(NamedTuple):
    """The state of the process at a moment.

    words (int): Words read so far.
    mib (float): Resident memory, without files.
    cpu, wall (float): Seconds since the stream started, of computing and on the clock.
    """

    words: int
    mib: float
    cpu: float
    wall: float


def main() -> None:
    """Parse the arguments, measure, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the pipeline")
    parser.add_argument("corpus", type=Path, help="a corpus to take texts from (.spacy)")
    parser.add_argument("output", type=Path, help="where to write the figures (.json)")
    parser.add_argument("--words", type=int, default=10 * UNIT, help="length of the stream")
    parser.add_argument("--warm-up", type=int, default=4 * UNIT, help="words before it that are not counted")
    parser.add_argument("--batch-size", type=int, default=16, help="documents of a batch")
    parser.add_argument("--threads", type=int, default=8, help="threads that call the pipeline at once")
    parser.add_argument("--calls", type=int, default=50, help="texts that each thread has read")
    args = parser.parse_args()
    nlp = spacy.load(args.model)
    texts = [doc.text for doc in DocBin().from_disk(args.corpus).get_docs(spacy.blank("en").vocab)]
    samples = list(watch(nlp, texts, args.warm_up + args.words, args.batch_size))
    stream = describe([sample for sample in samples if sample.words > args.warm_up])
    wrong = count_wrong_answers(nlp, texts[: args.calls], args.threads)
    figures = {**stream, "threads": args.threads, "calls": args.threads * args.calls, "wrong_answers": wrong}
    msg.table([(name, value) for name, value in figures.items() if name != "samples"], divider=True)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.output, (json.dumps(figures, indent=2) + "\n").encode())
    msg.good(f"Wrote {args.output}")


def watch(nlp: Language, texts: Sequence[str], words: int, batch_size: int) -> Iterator[Sample]:
    """Run a stream of texts through a pipeline.

    nlp (Language): The pipeline.
    texts (Sequence[str]): What the stream repeats.
    words (int): When it ends.
    batch_size (int): Documents of a batch.
    YIELDS (Sample): The process's state after each batch.
    """
    started = Sample(0, 0.0, time.process_time(), time.perf_counter())
    read, due = 0, UNIT
    for i, doc in enumerate(nlp.pipe(cycle(texts), batch_size=batch_size), 1):
        read += len(doc)
        if i % batch_size:
            continue
        yield Sample(read, resident_mib(), time.process_time() - started.cpu, time.perf_counter() - started.wall)
        if read >= due:
            msg.info(f"{read} of {words} words, {resident_mib():.0f} MiB")
            due += UNIT
        if read >= words:
            return


def describe(samples: Sequence[Sample]) -> dict[str, Any]:
    """Fit lines through samples.

    samples (Sequence[Sample]): In order.
    RETURNS (dict[str, Any]): "mib_per_100k" and "speed_per_100k", the slopes of memory and of speed, the latter as a
        share of "words_per_cpu_second"; the standard error of the former; the numbers that they are computed from.
    """
    words, mib, cpu, wall = np.array(samples, dtype=float).T
    coefficients, covariance = np.polyfit(words / UNIT, mib, 1, cov=True)
    speeds = np.diff(words) / np.diff(cpu)
    middles = (words[1:] + words[:-1]) / 2
    change = np.polyfit(middles / UNIT, speeds, 1)[0] / speeds.mean()
    return {
        "words": int(words[-1] - words[0]),
        "mib_at_start": round(float(mib[0]), 1),
        "mib_at_end": round(float(mib[-1]), 1),
        "mib_per_100k": round(float(coefficients[0]), 3),
        "mib_per_100k_error": round(float(covariance[0, 0] ** 0.5), 3),
        "words_per_cpu_second": round(float((words[-1] - words[0]) / (cpu[-1] - cpu[0])), 1),
        "words_per_second": round(float((words[-1] - words[0]) / (wall[-1] - wall[0])), 1),
        "speed_per_100k": round(float(change), 4),
        "samples": [[round(value, 2) for value in sample] for sample in samples],
    }


def count_wrong_answers(nlp: Language, texts: Sequence[str], threads: int) -> int:
    """Call a pipeline from several threads at once, each with all texts in its own order.

    nlp (Language): The pipeline.
    texts (Sequence[str]): The texts.
    threads (int): How many threads.
    RETURNS (int): Answers that differ from those of one thread alone, in the entities or in their confidences.
    """
    expected = [answer(nlp(text)) for text in texts]

    def work(thread: int) -> int:
        order = np.random.default_rng(thread).permutation(len(texts))
        return sum(not is_same(answer(nlp(texts[i])), expected[i]) for i in order)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads)))


def answer(doc: Doc) -> Answer:
    """RETURNS: The entities of a document and their confidences."""
    return [(ent.start, ent.end, ent.label_, ent._.confidence) for ent in doc.ents]


def is_same(one: Answer, other: Answer) -> bool:
    """Check whether two answers differ by rounding only."""
    return [entity[:3] for entity in one] == [entity[:3] for entity in other] and all(
        abs(a[3] - b[3]) < TOLERANCE for a, b in zip(one, other, strict=True)
    )


def resident_mib() -> float:
    """RETURNS (float): Resident memory that this process does not share, in MiB; the pages of files are not counted."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
