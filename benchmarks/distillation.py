"""What a teacher gives to a student, and whether old labels are kept while a new one is learnt.

    python benchmarks/distillation.py students ENCODER CORPUS WORK --teacher MODEL --texts FILE.jsonl
        [--conditions plain,corpus,part,all] [--seeds 0,1,2] [--part-words 250000] [--score news=FILE.spacy]
        [--epochs 3] [--option "--match tags"] [--name NAME] [--json FILE]
    python benchmarks/distillation.py labels ENCODER CORPUS WORK [--labels PER,ORG,LOC,MISC] [--seeds 0] [--json FILE]

CORPUS is a folder with train.spacy, dev.spacy and test.spacy. Every cell is trained by `bert-ner train` or `distill`
with configs/bert.cfg and written to WORK when it is measured; the same command goes on where it was, within a training
too.

students: the same recipe without a teacher (plain), with the teacher on the corpus (corpus), also on so many words of
texts (part), and on all of them (all); the differences to `plain` are paired by seed. `--name` tells settings of
`--option` apart. Seconds and peak memory are those of the whole process, targets included, whose own seconds are named;
students of other seeds find the targets made.

labels: half of the training documents without one label trains the old model; the other half, annotated with that label
alone, teaches it the label, with --keep and without; and a model trained on the other half with all labels is what the
new label is compared with. F1 on dev; the pipelines are chosen on dev documents annotated with the new label alone.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import spacy
from spacy.tokens import Doc, DocBin

CONFIG = Path(__file__).parents[1] / "configs" / "bert.cfg"
CONDITIONS = ("plain", "corpus", "part", "all")
MADE = re.compile(r"Made the targets of (\d+) words in (\d+) s")


def main() -> None:
    """Parse the arguments, measure what is missing, sum up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("students", "labels"))
    parser.add_argument("encoder", help="folder of the student's encoder")
    parser.add_argument("corpus", type=Path, help="folder with train.spacy, dev.spacy and test.spacy")
    parser.add_argument("work", type=Path, help="folder of the cells")
    parser.add_argument("--teacher", help="trained pipeline")
    parser.add_argument("--texts", type=Path, help="texts without annotation (.jsonl)")
    parser.add_argument("--conditions", default=",".join(CONDITIONS))
    parser.add_argument("--part-words", type=int, default=250_000)
    parser.add_argument("--score", action="append", default=[], help="NAME=FILE.spacy, beside dev and test")
    parser.add_argument("--option", default="", help="more of `distill`, such as '--match tags'")
    parser.add_argument("--name", default="", help="what tells cells with such an option apart")
    parser.add_argument("--labels", default="PER,ORG,LOC,MISC")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", default="auto")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    seeds = [int(seed) for seed in args.seeds.split(",")]
    if args.what == "students":
        conditions = args.conditions.split(",")
        if set(conditions) - {"plain"} and not args.teacher:
            parser.error("--teacher: expected a trained pipeline, or --conditions plain")
        if {"part", "all"} & set(conditions) and not args.texts:
            parser.error("--texts: expected a file of texts, or --conditions plain,corpus")
        for seed in seeds:
            for condition in conditions:
                measure_student(args, condition, seed)
        figures = summarize_students(read_cells(args.work, "student-*.json"))
    else:
        for seed in seeds:
            for label in args.labels.split(","):
                measure_label(args, label, seed)
        figures = summarize_labels(read_cells(args.work, "label-*.json"))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf8")
    print(json.dumps(figures["summary"], indent=2))


def measure_student(args: argparse.Namespace, condition: str, seed: int) -> None:
    """Train and score one student, unless that is done."""
    name = condition if condition == "plain" else f"{condition}{args.name}"
    cell = args.work / f"student-{name}-{seed}.json"
    if cell.exists():
        return
    options = ["--epochs", args.epochs, "--paths.encoder", args.encoder, "--system.seed", str(seed)]
    options += paths_of(args.corpus / "train.spacy", args.corpus / "dev.spacy")
    command = "train"
    if condition != "plain":
        command = "distill"
        options += ["--teacher", args.teacher, "--targets", str(args.work / f"targets-{condition}")]
        options += args.option.split()
    if condition == "part":
        options += ["--texts", str(take_words(args.texts, args.part_words, args.work / "texts-part.jsonl"))]
    if condition == "all":
        options += ["--texts", str(args.texts)]
    folder = args.work / f"student-{name}-{seed}"
    found = train(command, CONFIG, folder, options)
    corpora = {split: args.corpus / f"{split}.spacy" for split in ("dev", "test")}
    corpora |= {each.partition("=")[0]: Path(each.partition("=")[2]) for each in args.score}
    scores = {split: score(folder / "model-best", path, folder / f"{split}.json") for split, path in corpora.items()}
    write_cell(cell, {"condition": name, "seed": seed, **found, "scores": scores})


def measure_label(args: argparse.Namespace, label: str, seed: int) -> None:
    """Add one label to a model that knows the others, with and without --keep, unless that is done."""
    cell = args.work / f"label-{label}-{seed}.json"
    if cell.exists():
        return
    docs, dev = read_docs(args.corpus / "train.spacy"), args.corpus / "dev.spacy"
    folder = args.work / f"label-{label}-{seed}"
    folder.mkdir(exist_ok=True)
    files = {
        "old": (docs[::2], lambda found: found != label),
        "new": (docs[1::2], lambda found: found == label),
        "new-dev": (read_docs(dev), lambda found: found == label),
        "old-dev": (read_docs(dev), lambda found: found != label),
        "other-half": (docs[1::2], lambda found: True),
    }
    for name, (chosen, is_kept) in files.items():
        write_docs(chosen, is_kept, folder / f"{name}.spacy")
    encoder = ["--paths.encoder", args.encoder, "--system.seed", str(seed), "--epochs", args.epochs]
    trained = {"old": folder / "old", "all": args.work / f"other-half-{seed}"}
    train("train", CONFIG, trained["old"], [*encoder, *paths_of(folder / "old.spacy", folder / "old-dev.spacy")])
    train("train", CONFIG, trained["all"], [*encoder, *paths_of(folder / "other-half.spacy", dev)])
    further = folder / "further.cfg"
    old = str(trained["old"] / "model-best")
    paths = ["--train", str(folder / "new.spacy"), "--dev", str(folder / "new-dev.spacy")]
    call(["init-config", str(further), "--source", old, *paths, "--force"], folder / "init-config.log")
    rest = ["--epochs", args.epochs, "--system.seed", str(seed)]
    for name, keep in (("kept", ["--keep", old]), ("forgotten", [])):
        trained[name] = folder / name
        train("train", further, folder / name, [*rest, *keep])
    scores = {name: score(path / "model-best", dev, folder / f"dev-{name}.json") for name, path in trained.items()}
    write_cell(cell, {"label": label, "seed": seed, "scores": scores})


def train(command: str, config: Path, folder: Path, options: Sequence[str]) -> dict[str, Any]:
    """Train, resumed if need be, unless that is done. RETURNS: Seconds, peak memory in MiB; words of targets, seconds.

    Of a training that was interrupted, the seconds are those of the command that ended it.
    """
    done = folder / "trained.json"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "log.txt"
        found = call([command, str(config), "--output", str(folder), *options], log)
        made = MADE.findall(log.read_text(encoding="utf8"))
        targets = {"target_words": sum(int(w) for w, _ in made), "target_seconds": sum(int(s) for _, s in made)}
        write_cell(done, found | targets)
    result: dict[str, Any] = json.loads(done.read_text(encoding="utf8"))
    return result


def call(arguments: Sequence[str], log: Path) -> dict[str, Any]:
    """Run one of our commands. RETURNS: Its seconds and peak memory. log: Gets what it prints, after what is there."""
    print(" ".join(arguments), file=sys.stderr, flush=True)
    began = time.monotonic()
    with log.open("a", encoding="utf8") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "spacy", "bert-ner", *arguments], stdout=file, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(arguments)} failed: see {log}")
    return {"seconds": round(time.monotonic() - began), "peak_mib": usage.ru_maxrss // 1024}


def score(model: Path, corpus: Path, figures: Path) -> dict[str, Any]:
    """RETURNS: F1 in per cent on gold tokens, from raw text, and by label on gold tokens; the counts of these."""
    call(
        ["evaluate", str(model), str(corpus), "--json", str(figures), "--resamples", "100"], figures.with_suffix(".log")
    )
    found = json.loads(figures.read_text(encoding="utf8"))
    # None where there is neither a gold entity nor a predicted one.
    by_label = {label: round(100 * (each["f1"] or 0.0), 2) for label, each in found["types"].items()}
    return {
        "f1": round(100 * found["f1"], 2),
        "raw_f1": round(100 * found["raw_text"]["f1"], 2),
        "by_label": by_label,
        "counts": {label: each["counts"] for label, each in found["types"].items()},
    }


def summarize_students(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """RETURNS: By condition, means over the seeds, and the mean difference to `plain`, paired by seed."""
    plain = {cell["seed"]: cell for cell in cells if cell["condition"] == "plain"}
    summary: dict[str, Any] = {}
    for condition in sorted({cell["condition"] for cell in cells}):
        here = [cell for cell in cells if cell["condition"] == condition]
        row: dict[str, Any] = {
            "seeds": sorted(cell["seed"] for cell in here),
            "seconds": mean(cell["seconds"] - cell["target_seconds"] for cell in here),
            "target_seconds": max(cell["target_seconds"] for cell in here),
            "peak_mib": max(cell["peak_mib"] for cell in here),
        }
        for split in here[0]["scores"]:
            for kind in ("f1", "raw_f1"):
                row[f"{split}_{kind}"] = mean(cell["scores"][split][kind] for cell in here)
                gains = [
                    cell["scores"][split][kind] - plain[cell["seed"]]["scores"][split][kind]
                    for cell in here
                    if cell["seed"] in plain
                ]
                if gains and condition != "plain":
                    row[f"{split}_{kind}_gain"] = mean(gains)
        summary[condition] = row
    return {"summary": summary, "cells": list(cells)}


def summarize_labels(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """RETURNS: By new label and seed: what old labels lose, each and together, and F1 of the new one beside its bar."""
    summary: dict[str, Any] = {}
    for cell in cells:
        scores = {name: each["by_label"] for name, each in cell["scores"].items()}
        others = [label for label in scores["old"] if label != cell["label"]]
        row: dict[str, Any] = {"new_label_all_annotated": scores["all"][cell["label"]]}
        for name in ("kept", "forgotten"):
            lost = {label: round(scores["old"][label] - scores[name].get(label, 0.0), 2) for label in others}
            row[name] = {
                "old_labels_lose": lost,
                "old_labels_lose_together": round(
                    f1_together(cell["scores"]["old"]["counts"], others)
                    - f1_together(cell["scores"][name]["counts"], others),
                    2,
                ),
                "new_label": scores[name].get(cell["label"], 0.0),
            }
        summary[f"{cell['label']}, seed {cell['seed']}"] = row
    return {"summary": summary, "cells": list(cells)}


def f1_together(counts: dict[str, dict[str, int]], labels: Sequence[str]) -> float:
    """RETURNS: F1 of some labels' entities, in per cent."""
    gold, predicted, correct = (
        sum(counts[label][kind] for label in labels if label in counts) for kind in ("gold", "predicted", "correct")
    )
    return 200 * correct / (gold + predicted) if gold + predicted else 0.0


def mean(values: Iterable[float]) -> float:
    return round(statistics.mean(values), 2)


def take_words(texts: Path, words: int, target: Path) -> Path:
    """Write the first texts of a file, until they hold so many words between blanks. RETURNS: target."""
    taken = 0
    with texts.open(encoding="utf8") as source, target.open("w", encoding="utf8") as file:
        for line in source:
            if taken >= words:
                break
            taken += len(json.loads(line)["text"].split())
            file.write(line)
    return target


def read_docs(path: Path) -> list[Doc]:
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def write_docs(docs: Sequence[Doc], is_kept: Callable[[str], bool], path: Path) -> None:
    """Write documents with some of their entities: without the others, as if these were not there."""
    copies = []
    for doc in docs:
        copied = doc.copy()
        copied.set_ents([ent for ent in copied.ents if is_kept(ent.label_)], default="outside")
        copies.append(copied)
    DocBin(docs=copies).to_disk(path)


def paths_of(train_path: Path, dev_path: Path) -> list[str]:
    return ["--paths.train", str(train_path), "--paths.dev", str(dev_path)]


def read_cells(work: Path, pattern: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf8")) for path in sorted(work.glob(pattern))]


def write_cell(path: Path, found: dict[str, Any]) -> None:
    """Write a cell in one step: what is there is whole."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(found) + "\n", encoding="utf8")
    temporary.replace(path)


if __name__ == "__main__":
    main()
