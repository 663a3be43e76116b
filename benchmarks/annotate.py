"""Benchmark of `annotate`: speed, memory, killed workers, and texts that fail.

    python benchmarks/annotate.py MODEL TEXTS.jsonl WORK OUT.json [--words 1000000] [--kills 20] [--engines local ray]
        [--measures speed memory kills failures]

The input is the texts repeated, with one word in twenty made up, so that vocabularies grow as they do over real text.
Every run is its own process, with small shards, so that there are many. Its speed is measured from its first shard to
its last, without the start. Needs Linux's /proc.
"""

import argparse
import json
import os
import random
import shutil
import signal
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from wasabi import msg

from spacy_bert_ner.storage.files import write_atomically

UNIT = 100_000
MADE_UP = 0.05
SHARD_SIZE = 100
# `nlp.pipe` by itself, in the number of threads given.
PIPE = """
import json, sys, time
import spacy, torch
torch.set_num_threads(int(sys.argv[3]))
nlp = spacy.load(sys.argv[1])
texts = [json.loads(line)["text"] for line in open(sys.argv[2], encoding="utf8")]
list(nlp.pipe(texts[:20]))
started, words = time.perf_counter(), 0
with nlp.memory_zone():
    for doc in nlp.pipe(texts):
        words += len(doc)
print(words / (time.perf_counter() - started))
"""
ABSURD: Sequence[Any] = (None, 7, "", "   \n", "x" * 100_000, "\ud800", ["a"], "\x00" * 50, "🙂" * 5000, "a " * 20_000)


def main() -> None:
    """Parse the arguments, measure, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the pipeline")
    parser.add_argument("texts", type=Path, help="texts to repeat (.jsonl with text)")
    parser.add_argument("work", type=Path, help="folder to work in; what is there is removed")
    parser.add_argument("output", type=Path, help="where to write the figures (.json)")
    parser.add_argument("--words", type=int, default=10 * UNIT, help="words of the input")
    parser.add_argument("--workers", type=int, default=2, help="threads of nlp.pipe, and workers but for local's auto")
    parser.add_argument("--kills", type=int, default=20, help="how often to kill, with each engine")
    parser.add_argument("--documents", type=int, default=5000, help="documents of which fifty are absurd")
    parser.add_argument("--engines", nargs="+", default=["local"], choices=["local", "ray"])
    parser.add_argument("--measures", nargs="+", default=list(MEASURES), choices=list(MEASURES))
    parser.add_argument("--seed", type=int, default=0, help="of made-up words and random moments")
    args = parser.parse_args()
    for name in ("model", "texts", "work", "output"):
        setattr(args, name, getattr(args, name).absolute())
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)
    write_texts(args, args.work / "texts.jsonl", args.words)
    figures: dict[str, Any] = {"words": args.words, "workers": args.workers}
    for name in args.measures:
        figures[name] = MEASURES[name](args)
        msg.info(f"{name}: {json.dumps(figures[name])}")
    write_atomically(args.output, (json.dumps(figures, indent=2) + "\n").encode())
    msg.good(f"Wrote {args.output}")


def write_texts(args: argparse.Namespace, path: Path, words: int) -> None:
    """Write the input: the texts repeated until there are enough words."""
    rng = random.Random(args.seed)
    texts = [json.loads(line)["text"] for line in args.texts.read_text(encoding="utf8").splitlines()]
    written = 0
    with path.open("w", encoding="utf8") as file:
        for i, text in enumerate(cycle(texts)):
            parts = [make_up(rng) if rng.random() < MADE_UP else word for word in text.split(" ")]
            file.write(json.dumps({"id": i, "text": " ".join(parts)}) + "\n")
            written += len(parts)
            if written >= words:
                return


def make_up(rng: random.Random) -> str:
    """RETURNS (str): A new word."""
    return "".join(rng.choices(string.ascii_lowercase, k=rng.randint(4, 12))).title()


def command(args: argparse.Namespace, source: str, target: str, engine: str, workers: object) -> list[str]:
    """RETURNS (list[str]): The command that annotates."""
    names = [str(args.model), str(args.work / source), str(args.work / target)]
    options = ["--engine", engine, "--workers", str(workers), "--shard-size", str(SHARD_SIZE)]
    return [sys.executable, "-m", "spacy", "bert-ner", "annotate", *names, *options]


def start(arguments: list[str]) -> "subprocess.Popen[bytes]":
    """Start a command without output."""
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finish(arguments: list[str]) -> None:
    """Run a command. RAISES: CalledProcessError where it failed."""
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)


def watch_speed(arguments: list[str], journal: Path) -> float:
    """Run a command. RETURNS (float): Words a second, from its first shard to its last."""
    process, size = start(arguments), 0
    samples: list[tuple[float, int]] = []
    while process.poll() is None:
        time.sleep(0.05)
        if journal.exists() and journal.stat().st_size > size:
            size = journal.stat().st_size
            samples.append((time.perf_counter(), words_done(journal)))
    (started, before), (ended, after) = samples[0], max(samples, key=lambda sample: sample[1])
    return (after - before) / max(ended - started, 1e-9)


def measure_speed(args: argparse.Namespace) -> dict[str, float]:
    """RETURNS (dict[str, float]): Words a second of `nlp.pipe` in several threads, and of each engine; ratios."""
    arguments = [sys.executable, "-c", PIPE, str(args.model), str(args.work / "texts.jsonl"), str(args.workers)]
    figures = {"nlp.pipe": float(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)}
    runs = [
        ("local auto", "local", "auto"),
        *((f"{engine} {args.workers}", engine, args.workers) for engine in args.engines),
    ]
    for name, engine, workers in runs:
        journal = args.work / f"speed-{name}" / "journal.jsonl"
        figures[name] = watch_speed(command(args, "texts.jsonl", f"speed-{name}", engine, workers), journal)
    figures["local auto to nlp.pipe"] = figures["local auto"] / figures["nlp.pipe"]
    if "ray" in args.engines:
        figures["ray to local"] = figures[f"ray {args.workers}"] / figures[f"local {args.workers}"]
    return {name: round(value, 3) for name, value in figures.items()}


def measure_memory(args: argparse.Namespace) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): Of the parent and the largest worker, after two fifths of the words: the least and the
    most MiB, and its growth per 100,000 words. A worker gives memory back every 200,000 words, so take some millions.
    """
    process = start(command(args, "texts.jsonl", "memory", "local", args.workers))
    samples: list[tuple[int, float, float]] = []
    while process.poll() is None:
        workers = [mib for pid in workers_of(process.pid) if (mib := resident_mib(pid))]
        parent = resident_mib(process.pid)
        if workers and parent:
            samples.append((words_done(args.work / "memory" / "journal.jsonl"), parent, max(workers)))
        time.sleep(1)
    total = samples[-1][0]
    warm = np.array([sample for sample in samples if sample[0] >= 0.4 * total], dtype=float)
    figures: dict[str, Any] = {"words": total, "samples": len(warm)}
    for column, name in ((1, "parent"), (2, "worker")):
        slope = np.polyfit(warm[:, 0] / UNIT, warm[:, column], 1)[0] if len({*warm[:, 0]}) > 1 else float("nan")
        extent = [round(float(each), 1) for each in (warm[:, column].min(), warm[:, column].max())]
        figures |= {f"{name}, MiB": extent, f"{name}, MiB per 100,000 words": round(slope, 3)}
    return figures


def measure_kills(args: argparse.Namespace) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): By engine, kills of the run and of workers, and whether the output is the same."""
    finish(command(args, "texts.jsonl", "whole", "local", args.workers))
    expected = contents(args.work / "whole")
    rng = random.Random(args.seed)
    figures: dict[str, Any] = {}
    for engine in args.engines:
        killed: dict[str, int] = {"parent": 0, "worker": 0}
        same = []
        while sum(killed.values()) < args.kills:
            arguments = command(args, "texts.jsonl", f"killed-{engine}", engine, rng.randint(1, 3))
            if kill_once(arguments, rng, killed):
                # It finished: the next run starts from the beginning.
                same.append(contents(args.work / f"killed-{engine}") == expected)
                shutil.rmtree(args.work / f"killed-{engine}")
        finish(command(args, "texts.jsonl", f"killed-{engine}", engine, args.workers))
        same.append(contents(args.work / f"killed-{engine}") == expected)
        figures[engine] = {**killed, "runs": len(same), "runs with the same bytes": sum(same)}
    return figures


def kill_once(arguments: list[str], rng: random.Random, killed: dict[str, int]) -> bool:
    """Kill a run, or one of its workers and then the run. RETURNS (bool): Whether it had ended by itself before."""
    process = start(arguments)
    with_worker = rng.random() < 0.5
    for victim in ("worker", "parent") if with_worker else ("parent",):
        try:
            process.wait(rng.uniform(2, 20))
            return process.returncode == 0
        except subprocess.TimeoutExpired:
            pids = workers_of(process.pid) if victim == "worker" else [process.pid]
        if pids:
            os.kill(rng.choice(pids), signal.SIGKILL)
            killed[victim] += 1
    process.wait()
    return False


def measure_failures(args: argparse.Namespace) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): Results of fifty absurd texts, and how many of the other texts they change."""
    lines = (args.work / "texts.jsonl").read_text(encoding="utf8").splitlines()[: args.documents - 50]
    good = [json.loads(line) for line in lines]
    bad = [{"id": f"absurd {i}", "text": text} for i, text in zip(range(50), cycle(ABSURD), strict=False)]
    mixed = [*good, *bad]
    random.Random(args.seed).shuffle(mixed)
    for name, records in (("good", good), ("mixed", mixed)):
        content = "".join(json.dumps(record) + "\n" for record in records)
        (args.work / f"{name}.jsonl").write_text(content, encoding="utf8")
        finish(command(args, f"{name}.jsonl", f"failures-{name}", "local", args.workers))
    documents = {name: dict(read_documents(args.work / f"failures-{name}")) for name in ("good", "mixed")}
    failed = len((args.work / "failures-mixed" / "failed.jsonl").read_text(encoding="utf8").splitlines())
    return {
        "absurd texts": len(bad),
        "of them failed": failed,
        "of them annotated": len(documents["mixed"]) - len(good),
        "others": len(good),
        "others whose entities differ": sum(
            documents["mixed"].get(key) != value for key, value in documents["good"].items()
        ),
    }


def read_documents(folder: Path) -> Iterator[tuple[str, list[tuple[int, int, str]]]]:
    """YIELDS: Every document's id and entities, without their confidences, which differ by rounding."""
    for path in sorted(folder.glob("part-*.jsonl")):
        for line in path.read_text(encoding="utf8").splitlines():
            document = json.loads(line)
            yield str(document["id"]), [(each["start"], each["end"], each["label"]) for each in document["entities"]]


def workers_of(parent: int) -> list[int]:
    """RETURNS (list[int]): The worker processes of a run, Ray's actors among them."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            title = (path / "cmdline").read_bytes()
            stat = (path / "stat").read_text(encoding="utf8").rpartition(")")[2].split()
        except OSError:
            continue
        if (b"spawn_main" in title and int(stat[1]) == parent) or title.startswith(b"ray::Actor"):
            found.append(int(path.name))
    return found


def resident_mib(pid: int) -> float:
    """RETURNS (float): Resident memory that a process does not share, in MiB; 0 where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        return int(status.split("RssAnon:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def words_done(journal: Path) -> int:
    """RETURNS (int): Words of the shards that are finished."""
    if not journal.exists():
        return 0
    return sum(json.loads(line)["words"] for line in journal.read_bytes().split(b"\n")[:-1])


def contents(folder: Path) -> dict[str, bytes]:
    """RETURNS (dict[str, bytes]): All files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


MEASURES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "speed": measure_speed,
    "memory": measure_memory,
    "kills": measure_kills,
    "failures": measure_failures,
}

if __name__ == "__main__":
    main()
