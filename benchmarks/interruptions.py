"""Kill training at random points, resume it each time, and compare its result with an uninterrupted run's.

Every attempt is its own process, killed by SIGKILL after a random time, and every run is resumed until it finishes;
then the next one starts, until there were enough kills. All files of the saved pipelines and the log must be the same,
byte by byte. Needs fork, and computes in one thread.

    python benchmarks/interruptions.py configs/bert.cfg WORK --kills 200 --json FILE --paths.train FILE ...
"""

import argparse
import contextlib
import hashlib
import json
import mmap
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from spacy.cli._util import parse_config_overrides
from spacy.util import load_model_from_config
from tqdm import tqdm

from spacy_bert_ner.training import checkpoints, loop, running
from spacy_bert_ner.training.completion import load_completed

OUTPUT = Path("out")
OVERRIDES = {"training.logger.output_file": str(OUTPUT / "log.jsonl")}
# What a process may be doing when it is killed; it tells the process that kills it by a byte of shared memory.
PHASES = ("setting up", "between", "making a step", "writing a checkpoint", "saving a pipeline", "finished")


def announce(shared: mmap.mmap, owner: Any, name: str, phase: str) -> None:
    """Wrap a function so that it tells when it runs."""
    function = getattr(owner, name)

    def announced(*args: Any, **kwargs: Any) -> Any:
        shared[0] = PHASES.index(phase)
        result = function(*args, **kwargs)
        shared[0] = PHASES.index("between")
        return result

    setattr(owner, name, announced)


def attempt(train: Callable[[], object], folder: Path, shared: mmap.mmap) -> int:
    """Train in its own process. RETURNS (int): Its id."""
    shared[0] = 0
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.chdir(folder)
        with Path("console.txt").open("a", encoding="utf8") as console:
            os.dup2(console.fileno(), 1)
            os.dup2(console.fileno(), 2)
        announce(shared, loop.Run, "_step", "making a step")
        announce(shared, checkpoints.Checkpoints, "write", "writing a checkpoint")
        announce(shared, running.CheckpointWriter, "save_pipeline", "saving a pipeline")
        train()
        shared[0] = PHASES.index("finished")
        status = 0
    except BaseException:
        # The forked process is a copy of the caller, whose code must not continue in it.
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def wait_for_training(child: int, shared: mmap.mmap) -> None:
    """Wait until a process has set up its run, or has ended."""
    while shared[0] == 0 and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.001)


def wait(child: int) -> None:
    """Wait for a process. RAISES: SystemExit where it failed by itself."""
    status = os.waitpid(child, 0)[1]
    if status and os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        raise SystemExit("A run failed by itself: see console.txt in its folder")


def contents(folder: Path) -> dict[str, str]:
    """RETURNS (dict[str, str]): A checksum of each file that a run leaves."""
    files = sorted(path for path in (folder / OUTPUT).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def campaign(train: Callable[[], object], work: Path, kills: int) -> dict[str, Any]:
    """Kill and resume.

    train (Callable[[], object]): Trains in the current folder.
    work (Path): Where to work.
    kills (int): How often to kill.
    RETURNS (dict[str, Any]): Counts.
    """
    shared = mmap.mmap(-1, 1)
    whole, interrupted = work / "whole", work / "interrupted"
    for folder in (whole, interrupted):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    started = time.monotonic()
    child = attempt(train, whole, shared)
    wait_for_training(child, shared)
    set_up = time.monotonic() - started
    wait(child)
    seconds = time.monotonic() - started
    expected = contents(whole)
    phases: Counter[str] = Counter()
    same: list[bool] = []
    attempts = 0
    with tqdm(total=kills, disable=None) as progress:
        while phases.total() < kills:
            attempts += 1
            child = attempt(train, interrupted, shared)
            # A tenth of the kills happen during the setup, the rest during the training.
            if random.random() < 0.1:
                time.sleep(random.uniform(0, set_up))
            else:
                wait_for_training(child, shared)
                time.sleep(random.uniform(0, (seconds - set_up) / 3))
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if status == -signal.SIGKILL and PHASES[shared[0]] != "finished":
                phases[PHASES[shared[0]]] += 1
                progress.update()
                continue
            if status not in (0, -signal.SIGKILL):
                raise SystemExit("A run failed by itself: see console.txt in its folder")
            same.append(contents(interrupted) == expected)
            if not same[-1]:
                break
            shutil.rmtree(interrupted / OUTPUT)
    if not same or (interrupted / OUTPUT).exists():
        wait(attempt(train, interrupted, shared))
        same.append(contents(interrupted) == expected)
    return {
        "kills": phases.total(),
        "killed while": dict(phases.most_common()),
        "attempts": attempts,
        "runs finished": len(same),
        "runs with the same files": sum(same),
        "files compared": len(expected),
        "seconds of an uninterrupted run": round(seconds, 2),
        "kills per run": round(phases.total() / len(same), 2),
    }


def main() -> None:
    """Parse the arguments, run, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("config", type=Path, help="training config")
    parser.add_argument("work", type=Path, help="folder to work in")
    parser.add_argument("--kills", type=int, default=20, help="how often to kill")
    parser.add_argument(
        "--interval", type=float, default=0.0, help="seconds between checkpoints; 0 is after every step"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random times")
    parser.add_argument("--json", type=Path, help="where to write the counts")
    args, rest = parser.parse_known_args()
    torch.set_num_threads(1)
    random.seed(args.seed)
    config, overrides = args.config.absolute(), {**OVERRIDES, **parse_config_overrides(rest, env_var=None)}
    # Imports what the config needs, once for all.
    load_model_from_config(load_completed(config, overrides, gpu=False), auto_fill=True)
    result = campaign(
        lambda: running.train(config, OUTPUT, overrides=overrides, interval=args.interval), args.work, args.kills
    )
    print(json.dumps(result, indent=2))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")
    if result["runs with the same files"] < result["runs finished"]:
        raise SystemExit("A run that was interrupted ended with other files")


if __name__ == "__main__":
    main()
