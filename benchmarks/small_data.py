"""How good a model is after few annotated sentences: ours by `init-config`'s defaults, beside what people use today.

    python benchmarks/small_data.py ENCODER CORPUS_DIR WORK --bridge BRIDGE_PYTHON [--sizes 50,100,300,1000,3000]
        [--draws 3] [--systems ours,trainer,stock] [--minutes 10] [--threads 2] [--json FILE] [--svg FILE]

draws whole documents of train.spacy until they hold so many sentences, several times for each size, trains each system
on them with the same encoder, and scores it on dev.spacy and test.spacy: exact entities on annotated tokens. Every
sixth document of dev.spacy is what training may stop by, as few have a large dev set beside little training data; it is
not scored. Each cell is a process of its own and is written to WORK when it is done; the same command goes on where it
was. --svg draws F1 by sentences.

    ours     `init-config` with its defaults, `bert-ner train`
    stock    spaCy's `transformer` and `ner` by its quickstart config (`spacy init config --gpu`), which needs
             spacy-transformers; stopped after --minutes, with the best pipeline so far, where its patience has not
             ended it
    trainer  Hugging Face's Trainer by its examples' defaults: sentence by sentence, the first word piece carries the
             label, learning rate 5e-5, 3 epochs, batches of 8
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
from spacy.tokens import Doc, DocBin

from spacy_bert_ner.report.svg import ACCENT, MUTED, SECOND, canvas

SYSTEMS = ("ours", "trainer", "stock")
NAMES = ("bert_ner", "Trainer", "spaCy's ner")
# A picture of its own has no page whose colours it could take.
SVG_STYLE = """<style>
svg { --muted: #57606a; --line: #d5dbe1; --accent: #0a5fbd; --second: #a84c00; --font: system-ui, sans-serif;
  color: #1c2128; background: #ffffff }
@media (prefers-color-scheme: dark) {
  svg { --muted: #9ba6b2; --line: #303943; --accent: #6db0ff; --second: #ffae5c; color: #e4e8ed; background: #0f141a }
}
</style>"""
SIZES = (50, 100, 300, 1000, 3000)
# Of the dev set's documents, one in so many is what training may stop by.
STOPPING = 6
# A cell of its system, size and draw, the draw being the seed as well.
CELL = "{system}-{size}-{draw}.json"


def main() -> None:
    """Parse the arguments, run all cells, sum up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", help="folder of the encoder")
    parser.add_argument("corpus", type=Path, help="folder with train.spacy, dev.spacy and test.spacy")
    parser.add_argument("work", type=Path, help="folder of the cells")
    parser.add_argument("--bridge", help="Python with spacy-transformers, for stock")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="sentences")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--minutes", type=float, default=10.0, help="after which stock is stopped")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--svg", type=Path, help="where to draw F1 on dev, means and ranges of the draws")
    args = parser.parse_args()
    sizes, systems = [int(size) for size in args.sizes.split(",")], args.systems.split(",")
    if unknown := set(systems) - set(SYSTEMS):
        parser.error(f"--systems {', '.join(sorted(unknown))}: expected some of {', '.join(SYSTEMS)}")
    if "stock" in systems and not args.bridge:
        parser.error("stock needs --bridge BRIDGE_PYTHON, or leave it out with --systems ours,trainer")
    args.work.mkdir(parents=True, exist_ok=True)
    dev = read_docs(args.corpus / "dev.spacy")
    DocBin(docs=dev[::STOPPING]).to_disk(args.work / "stop.spacy")
    DocBin(docs=[doc for i, doc in enumerate(dev) if i % STOPPING]).to_disk(args.work / "dev.spacy")
    for size in sizes:
        for draw in range(args.draws):
            for system in systems:
                measure(args, system, size, draw)
    figures = summarize(read_cells(args.work))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf8")
    if args.svg:
        args.svg.write_text(draw_curves(figures["cells"]), encoding="utf8")
    print(json.dumps(figures["sizes"], indent=2))


def measure(args: argparse.Namespace, system: str, size: int, draw: int) -> None:
    """Measure a cell in a process of its own, unless it is there."""
    cell = args.work / CELL.format(system=system, size=size, draw=draw)
    if cell.exists():
        return
    print(f"{system}, {size} sentences, draw {draw} ...", file=sys.stderr, flush=True)
    folder = args.work / f"{cell.stem}.run"
    folder.mkdir(parents=True, exist_ok=True)
    docs = draw_documents(read_docs(args.corpus / "train.spacy"), size, draw)
    DocBin(docs=docs).to_disk(folder / "train.spacy")
    scored = {"dev": args.work / "dev.spacy", "test": args.corpus / "test.spacy"}
    command = [args.bridge if system == "stock" else sys.executable, str(Path(__file__).parent / "small_systems.py")]
    command += [system, args.encoder, str(folder / "train.spacy"), str(args.work / "stop.spacy"), str(folder)]
    command += [word for name, path in scored.items() for word in ("--score", f"{name}={path}")]
    command += ["--seed", str(draw), "--minutes", str(args.minutes), "--threads", str(args.threads)]
    threads = {"OMP_NUM_THREADS": str(args.threads), "TOKENIZERS_PARALLELISM": "false"}
    figures = folder / "figures.json"
    # What they print is theirs.
    subprocess.run([*command, "--json", str(figures)], env=os.environ | threads, stdout=sys.stderr, check=True)
    sentences, words = sum(1 for doc in docs for _ in doc.sents), sum(map(len, docs))
    drawn = {"size": size, "draw": draw, "documents": len(docs), "sentences": sentences, "words": words}
    found = {"system": system, **drawn, **json.loads(figures.read_text(encoding="utf8"))}
    # In one step: what is there is whole.
    figures.write_text(json.dumps(found) + "\n", encoding="utf8")
    figures.replace(cell)
    shutil.rmtree(folder)


def read_docs(path: Path) -> list[Doc]:
    """RETURNS: The documents of a corpus."""
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def draw_documents(docs: Sequence[Doc], sentences: int, draw: int) -> list[Doc]:
    """Draw whole documents. RETURNS: Each that still fits, in an order drawn with the seed `draw`."""
    order = list(docs)
    random.Random(draw).shuffle(order)
    chosen, taken = [], 0
    for doc in order:
        length = sum(1 for _ in doc.sents)
        if taken + length <= sentences:
            chosen.append(doc)
            taken += length
    return chosen


def read_cells(work: Path) -> list[dict[str, Any]]:
    """RETURNS: All cells that were measured."""
    return [json.loads(path.read_text(encoding="utf8")) for path in sorted(work.glob("*-*-*.json"))]


def summarize(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """RETURNS: By size, each system's mean over the draws, and ours less the better of the others, paired by draw."""
    sizes: dict[str, Any] = {}
    for size in sorted({cell["size"] for cell in cells}):
        here = [cell for cell in cells if cell["size"] == size]
        systems = {name: [cell for cell in here if cell["system"] == name] for name in SYSTEMS}
        row: dict[str, Any] = {
            name: {
                "draws": len(some),
                **{
                    key: round(statistics.mean(cell[key] for cell in some), 2)
                    for key in ("dev_f", "test_f", "train_seconds")
                },
            }
            for name, some in systems.items()
            if some
        }
        gains = []
        for cell in systems["ours"]:
            others = [each for each in here if each["system"] != "ours" and each["draw"] == cell["draw"]]
            if others:
                gains.append(cell["dev_f"] - max(each["dev_f"] for each in others))
        if gains:
            row["ours_less_the_better_dev"] = {
                "mean": round(statistics.mean(gains), 2),
                "draws": [round(g, 2) for g in gains],
            }
        sizes[str(size)] = row
    return {"sizes": sizes, "cells": list(cells)}


def draw_curves(cells: Sequence[dict[str, Any]]) -> str:
    """RETURNS: A picture of each system's F1 on dev by sentences: the mean of the draws, and their range. (SVG)"""
    sizes = sorted({cell["size"] for cell in cells})
    curves = {name: f1_by_size(cells, system) for system, name in zip(SYSTEMS, NAMES, strict=True)}
    told = [
        f"{name}: {', '.join(f'{statistics.mean(f1):.1f} at {size:,}' for size, f1 in curve.items()) or 'not measured'}"
        for name, curve in curves.items()
    ]
    with canvas("small-data", f"F1 on dev by sentences. {'; '.join(told)}", 3.2, 6.0) as drawing:
        ax = drawing.ax
        for (name, curve), colour in zip(curves.items(), (ACCENT, SECOND, MUTED), strict=True):
            if not curve:
                continue
            xs, draws = list(curve), list(curve.values())
            means = list(map(statistics.mean, draws))
            ax.fill_between(xs, list(map(min, draws)), list(map(max, draws)), color=colour, alpha=0.15, lw=0)
            ax.plot(xs, means, color=colour, marker="o", markersize=4)
            ax.annotate(name, (xs[-1], means[-1]), (6, 0), textcoords="offset points", color=colour, va="center")
        ax.set_xscale("log")
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        ax.minorticks_off()
        ax.set(xlabel="sentences", ylabel="F1 on dev", ylim=(0, 100), xlim=(sizes[0] * 0.8, sizes[-1] * 2.2))
    opening, _, rest = drawing.svg.partition(">")
    opening = opening.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return f"{opening}>\n{SVG_STYLE}{rest}"


def f1_by_size(cells: Sequence[dict[str, Any]], system: str) -> dict[int, list[float]]:
    """RETURNS: By size, in ascending order, a system's F1 on dev in each draw."""
    found: dict[int, list[float]] = {}
    for cell in sorted(cells, key=lambda cell: cell["size"]):
        if cell["system"] == system:
            found.setdefault(cell["size"], []).append(cell["dev_f"])
    return found


if __name__ == "__main__":
    main()
