"""Run the whole workflow as a user with the wheel alone: a fresh environment, two column files, and commands.

    python scripts/try_workflow.py WORK --encoder FOLDER [--epochs 20]

Builds the plugin's wheel, installs it with the extra `train` into a new virtual environment in WORK by pip, copies
train.conll and dev.conll of the sample corpus there, and runs the commands of docs/own-data.md from converting to
verifying, in WORK, without this repository. The commands and their output go to standard output.
"""

import argparse
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from spacy_bert_ner.packaging.wheels import build_plugin_wheel

SAMPLE = Path(__file__).parents[1] / "corpus" / "sample"
COMMANDS = (
    "--version",
    "convert columns corpus",
    "init-config config.cfg --encoder {encoder} --epochs {epochs}",
    "debug config.cfg",
    "train config.cfg --output training",
    "calibrate training/model-best corpus/dev.spacy training/calibrated --train corpus/train.spacy",
    "evaluate training/calibrated corpus/dev.spacy --train corpus/train.spacy --json metrics/dev.json "
    "--report metrics/report.html",
    "package training/calibrated packages --name my_names --version 1.0.0 --license CC0-1.0 --metrics metrics/dev.json",
    "verify packages/wheels training/calibrated --corpus corpus/dev.spacy",
)


def main() -> None:
    """Parse the arguments, set everything up, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder to work in, which must not be there yet")
    parser.add_argument("--encoder", required=True, help="folder or Hub id of the pretrained encoder")
    parser.add_argument("--epochs", type=float, default=20, help="passes over the sample's training data")
    args = parser.parse_args()
    args.work.mkdir(parents=True)
    work = args.work.resolve()
    (work / "columns").mkdir()
    for name in ("train.conll", "dev.conll"):
        shutil.copy(SAMPLE / name, work / "columns")
    python = install(work, build_plugin_wheel(work))
    for command in COMMANDS:
        filled = command.format(encoder=args.encoder, epochs=f"{args.epochs:g}")
        run([str(python), "-m", "spacy", "bert-ner", *filled.split()], f"python -m spacy bert-ner {filled}", work)


def install(work: Path, wheel: Path) -> Path:
    """Create an environment with the wheel. RETURNS (Path): Its interpreter."""
    venv.create(work / "environment", with_pip=True)
    folder = "Scripts" if os.name == "nt" else "bin"
    python = work / "environment" / folder / Path(sys.executable).name
    wanted = f"{wheel}[train]"
    run([str(python), "-m", "pip", "install", "--quiet", wanted], f'pip install "{wheel.name}[train]"', work)
    return python


def run(command: list[str], typed: str, work: Path) -> None:
    """Run a command, and print it and its output. RAISES: SystemExit where it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    print(f"\n$ {typed}", flush=True)
    done = subprocess.run(command, cwd=work, env=environment, check=False, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f"It ended with {done.returncode}")


if __name__ == "__main__":
    main()
