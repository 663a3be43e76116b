"""Benchmark: words per second, memory and latency of this project and of the usual alternatives, in one run.

Each system runs in its own process, one after another, with the same encoder, documents and number of threads; read
the figures as ratios. The systems, as benchmarks/systems.py builds them:
    stock_ner       (a) spaCy's `transformer` and its transition-based `ner`
    stock_bert_ner  (b) spaCy's `transformer` and `bert_ner`
    ours            (c) the pipeline of configs/bert.cfg
    trainer         (d) Hugging Face's Trainer with dynamic padding
    forward         (e) the bare forward pass over the same pieces, no overlap, in the machine's native dtype
    notebook        batches of 8 sentences padded to 512, Adam, fp32
It needs the environment of the bridge (`make test-bridge` makes .venv-bridge), the only one with spaCy's `transformer`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from wasabi import msg

from spacy_bert_ner.storage.files import write_atomically

SYSTEMS = Path(__file__).parent.parent / "benchmarks" / "systems.py"
RUNS = {
    "predict": ("stock_ner", "stock_bert_ner", "ours", "forward"),
    "train": ("stock_ner", "stock_bert_ner", "ours", "trainer", "notebook"),
}


def main() -> None:
    """Parse the arguments, run every system, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", help="folder of the encoder")
    parser.add_argument("corpus", type=Path, help="folder with train.spacy and test.spacy")
    parser.add_argument("output", type=Path, help="where to write the figures, such as metrics/benchmark.json")
    parser.add_argument("--documents", type=int, default=0, help="test documents to predict; 0 for all")
    parser.add_argument("--steps", type=int, default=12, help="training steps to time")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--model", type=Path, help="a trained pipeline, to time its loading")
    parser.add_argument("--wheel", type=Path, help="its wheel, to weigh it")
    args = parser.parse_args()
    figures: dict[str, Any] = {"machine": {"processor": processor(), "threads": args.threads}}
    figures["machine"] |= run_system("matrix", "predict", args)["gflops"]
    for task, systems in RUNS.items():
        figures[task] = {system: run_system(system, task, args) for system in systems}
    figures["latency"] = {system: run_system(system, "latency", args) for system in ("stock_ner", "ours")}
    add_ratios(figures)
    if args.model:
        figures["load_seconds"] = load_time(args.model)
    if args.wheel:
        figures["wheel_mib"] = round(args.wheel.stat().st_size / 2**20, 1)
    for task in RUNS:
        print_table(task, figures[task])
    for system, row in figures["latency"].items():
        msg.text(f"{system}: one text of 30 words in {row['p50_ms']} ms (p95 {row['p95_ms']} ms)")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.output, (json.dumps(figures, indent=2) + "\n").encode())
    msg.good(f"Wrote {args.output}")


def run_system(system: str, task: str, args: argparse.Namespace) -> dict[str, Any]:
    """Measure one system in its own process. RETURNS: Its figures. RAISES: SystemExit where it fails."""
    msg.info(f"{task}: {system}")
    command = [sys.executable, str(SYSTEMS), system, task, args.encoder, str(args.corpus)]
    command += ["--documents", str(args.documents), "--steps", str(args.steps), "--threads", str(args.threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        msg.fail(f"{system} failed at {task}", done.stderr[-2000:], exits=1)
    return json.loads(done.stdout.splitlines()[-1])


def add_ratios(figures: dict[str, Any]) -> None:
    """Add to every row its ratio to ours, and its share of the machine's matrix rate, only useful work counted."""
    rate = max(figures["machine"]["float32"], figures["machine"]["bfloat16"]) * 1e9
    per_word = figures["predict"]["forward"]["matrix_operations_per_word"]
    for task, work in (("predict", 1), ("train", 3)):
        our_speed = figures[task]["ours"]["words_per_second"]
        for row in figures[task].values():
            row["ours_is_times_faster"] = round(our_speed / row["words_per_second"], 2)
            row["share_of_matrix_rate"] = round(row["words_per_second"] * per_word * work / rate, 3)


def load_time(model: Path) -> float:
    """RETURNS (float): Seconds from a fresh interpreter to a loaded pipeline."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import spacy; spacy.load({str(model)!r})"], check=True)
    return round(time.perf_counter() - start, 1)


def processor() -> str:
    """RETURNS (str): The processor's name, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf8").splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def print_table(task: str, rows: dict[str, Any]) -> None:
    """Print one task's systems."""
    header = ("system", "words/s", "ours is faster by", "of matrix rate", "peak MiB", "type", "batch")
    keys = ("words_per_second", "ours_is_times_faster", "share_of_matrix_rate", "peak_mib", "dtype", "batch")
    msg.divider(task)
    msg.table([(name, *(row[key] for key in keys)) for name, row in rows.items()], header=header, divider=True)


if __name__ == "__main__":
    main()
