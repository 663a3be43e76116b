"""How many words have to be annotated: texts chosen by `bert-ner suggest`, beside texts chosen at random.

    python benchmarks/suggest.py ENCODER CORPUS_DIR WORK --json FILE [--ways random,uncertainty,diversity,both]
        [--draws 0,1,2] [--step 100] [--stop 1000] [--pool 6000] [--until-reached] [--threads 2]

The texts are sentences of train.spacy. Every draw begins with the same `--step` sentences for all ways, chosen at
random; from then on a way chooses as many more from a pool by the model of the step before, which was trained by
`init-config`'s defaults. Random choice knows no model: its steps between the first and the last one are left out. Each
model is scored on the sentences of dev.spacy, exact entities on annotated tokens, but for those of every sixth
document, by which training may stop: whole documents are another kind of text than what it was trained on. Words are
counted, as these are what is annotated. Each step is written to WORK when it is done; the same command goes on where it
was.
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
from itertools import pairwise
from pathlib import Path
from typing import Any

import spacy
from spacy.tokens import Doc, DocBin

from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.suggesting.selection import WAYS, choose_texts_to_annotate
from spacy_bert_ner.suggesting.text_doubts import judge_texts

RANDOM = "random"
# Of the dev set's documents, one in so many is what training may stop by.
STOPPING = 6


def main() -> None:
    """Parse the arguments, run all steps, sum up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", help="folder of the encoder")
    parser.add_argument("corpus", type=Path, help="folder with train.spacy and dev.spacy")
    parser.add_argument("work", type=Path, help="folder of the steps")
    parser.add_argument("--ways", default=",".join((RANDOM, *WAYS)))
    parser.add_argument("--draws", default="0,1,2", help="which; each may have a process of its own")
    parser.add_argument("--step", type=int, default=100, help="sentences that are added at a time")
    parser.add_argument("--stop", type=int, default=1000, help="sentences of the last step")
    parser.add_argument("--pool", type=int, default=6000, help="sentences to choose from, drawn at random; 0 for all")
    parser.add_argument(
        "--until-reached", action="store_true", help="a way ends where it has reached what random choice ended with"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    args = parser.parse_args()
    ways = args.ways.split(",")
    if unknown := set(ways) - {RANDOM, *WAYS}:
        parser.error(f"--ways {', '.join(sorted(unknown))}: expected some of {', '.join((RANDOM, *WAYS))}")
    args.work.mkdir(parents=True, exist_ok=True)
    dev = read_docs(args.corpus / "dev.spacy")
    DocBin(docs=split_sentences(dev[::STOPPING])).to_disk(args.work / "stop.spacy")
    scored = split_sentences([doc for i, doc in enumerate(dev) if i % STOPPING])
    DocBin(docs=scored).to_disk(args.work / "dev.spacy")
    sentences = split_sentences(read_docs(args.corpus / "train.spacy"))
    for draw in map(int, args.draws.split(",")):
        for way in ways:
            run_way(args, sentences, way, draw)
    figures = summarize(read_steps(args.work))
    if args.json:
        write_json(args.json, figures)
    print(json.dumps({name: figures[name] for name in figures if name != "steps"}, indent=2))


def read_docs(path: Path) -> list[Doc]:
    """RETURNS: The documents of a corpus."""
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def split_sentences(docs: Sequence[Doc]) -> list[Doc]:
    """RETURNS: Every sentence as a document."""
    return [sent.as_doc() for doc in docs for sent in doc.sents]


def run_way(args: argparse.Namespace, sentences: Sequence[Doc], way: str, draw: int) -> None:
    """Choose, train and score step by step, but for the steps that are done."""
    order = list(range(len(sentences)))
    random.Random(draw).shuffle(order)
    pool = order[: args.step + args.pool] if args.pool else order
    chosen: list[int] = []
    folder = args.work / f"{way}-{draw}.run"
    for size in sizes_of(way, args.step, args.stop):
        # All ways have the first step in common.
        done = args.work / (f"{way}-{draw}-{size}.json" if size > args.step else f"start-{draw}-{size}.json")
        if done.exists():
            chosen = json.loads(done.read_text(encoding="utf8"))["chosen"]
        else:
            if way == RANDOM or size == args.step:
                chosen = order[:size]
            else:
                chosen = [*chosen, *choose_next(args, sentences, pool, chosen, way, folder)]
            print(f"{way}, {size} sentences, draw {draw} ...", file=sys.stderr, flush=True)
            figures = train(args, [sentences[i] for i in chosen], folder, draw)
            words = sum(len(sentences[i]) for i in chosen)
            write_json(done, {"way": way, "draw": draw, "size": size, "words": words, **figures, "chosen": chosen})
        if args.until_reached and has_reached(args, way, draw):
            break
    shutil.rmtree(folder, ignore_errors=True)


def sizes_of(way: str, step: int, stop: int) -> list[int]:
    """RETURNS: The numbers of sentences that a way's models are trained on."""
    sizes = list(range(step, stop + 1, step))
    return sizes if way != RANDOM else sorted({sizes[0], sizes[-1]})


def has_reached(args: argparse.Namespace, way: str, draw: int) -> bool:
    """RETURNS: Whether a way has reached what random choice ended with, in a draw of which that is known."""
    last = sizes_of(RANDOM, args.step, args.stop)[-1]
    if way == RANDOM or not (args.work / f"{RANDOM}-{draw}-{last}.json").exists():
        return False
    steps = read_steps(args.work)
    return share_of_words(curve_of(steps, way, draw), curve_of(steps, RANDOM, draw)) is not None


def choose_next(
    args: argparse.Namespace,
    sentences: Sequence[Doc],
    pool: Sequence[int],
    chosen: Sequence[int],
    way: str,
    folder: Path,
) -> list[int]:
    """Choose a step's sentences by the model of the step before. RETURNS: Their indices."""
    known = set(chosen)
    free = [i for i in pool if i not in known]
    model = folder / "out" / "model-best"
    if not model.exists():
        # It was interrupted here, or the first step was another way's: the same sentences give the same model.
        train(args, [sentences[i] for i in chosen], folder, draw_of(folder))
    nlp = spacy.load(model)
    judged, annotated = (
        list(judge_texts(nlp, "bert_ner", [without_entities(nlp.vocab, sentences[i]) for i in some]))
        for some in (free, chosen)
    )
    picked = [free[i] for i in choose_texts_to_annotate(judged, args.step, way, annotated)]  # type: ignore[arg-type]
    # Where the model is sure of all the others.
    rest = [i for i in free if i not in set(picked)]
    return [*picked, *rest][: args.step]


def draw_of(folder: Path) -> int:
    """RETURNS: The draw that a way's folder is of."""
    return int(folder.stem.rpartition("-")[2])


def without_entities(vocab: Any, doc: Doc) -> Doc:
    """RETURNS: The tokens alone."""
    return Doc(vocab, words=[token.text for token in doc])


def train(args: argparse.Namespace, docs: Sequence[Doc], folder: Path, draw: int) -> dict[str, Any]:
    """Train on sentences, in a process of its own. RETURNS: F1 on dev, steps, seconds."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    DocBin(docs=docs).to_disk(folder / "train.spacy")
    script = Path(__file__).parent / "small_systems.py"
    figures = folder / "figures.json"
    command = [sys.executable, str(script), "ours", args.encoder, str(folder / "train.spacy")]
    command += [str(args.work / "stop.spacy"), str(folder), "--score", f"dev={args.work / 'dev.spacy'}"]
    command += ["--seed", str(draw), "--threads", str(args.threads), "--json", str(figures)]
    threads = {"OMP_NUM_THREADS": str(args.threads), "TOKENIZERS_PARALLELISM": "false"}
    subprocess.run(command, env=os.environ | threads, stdout=sys.stderr, check=True)
    return dict(json.loads(figures.read_text(encoding="utf8")))


def read_steps(work: Path) -> list[dict[str, Any]]:
    """RETURNS: All steps that are done, without what was chosen; the common first one for each way that has others."""
    found = [json.loads(path.read_text(encoding="utf8")) for path in sorted(work.glob("*-*-*.json"))]
    steps = [{name: value for name, value in step.items() if name != "chosen"} for step in found]
    starts = {step["draw"]: step for step in steps if (work / f"start-{step['draw']}-{step['size']}.json").exists()}
    others = [step for step in steps if step["size"] != starts[step["draw"]]["size"]]
    ways = sorted({(step["way"], step["draw"]) for step in others})
    return [*({**starts[draw], "way": way} for way, draw in ways), *others]


def summarize(steps: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Compare ways with random choice.

    RETURNS: "curves", by way the mean words and F1 of each size; and "share of the words", by way and draw the words
        that it needs for the F1 that random choice of that draw ends with, as a share of the words of random choice.
    """
    ways = sorted({step["way"] for step in steps})
    curves = {
        way: [
            {
                "size": size,
                "words": round(statistics.mean(step["words"] for step in own), 1),
                "dev_f": round(statistics.mean(step["dev_f"] for step in own), 2),
                "draws": len(own),
            }
            for size in sorted({step["size"] for step in steps if step["way"] == way})
            for own in [[step for step in steps if (step["way"], step["size"]) == (way, size)]]
        ]
        for way in ways
    }
    shares: dict[str, Any] = {}
    for way in ways:
        own = {draw: share_of_words(curve_of(steps, way, draw), curve_of(steps, RANDOM, draw)) for draw in draws(steps)}
        known = [share for share in own.values() if share is not None]
        shares[way] = {"draws": own, "mean": round(statistics.mean(known), 3) if known else None}
    return {"curves": curves, "share of the words": shares, "steps": list(steps)}


def draws(steps: Sequence[dict[str, Any]]) -> list[int]:
    """RETURNS: The draws of which random choice is there."""
    return sorted({step["draw"] for step in steps if step["way"] == RANDOM})


def curve_of(steps: Sequence[dict[str, Any]], way: str, draw: int) -> list[tuple[float, float]]:
    """RETURNS: Words and F1 of each step of a way in a draw, fewest words first."""
    return sorted((step["words"], step["dev_f"]) for step in steps if (step["way"], step["draw"]) == (way, draw))


def share_of_words(curve: Sequence[tuple[float, float]], base: Sequence[tuple[float, float]]) -> float | None:
    """Find where a curve first reaches the F1 that another ends with, a line between its points.

    RETURNS: The words there, as a share of the other's last ones; None where it does not reach it.
    """
    if not curve or not base:
        return None
    words, goal = base[-1]
    if curve[0][1] >= goal:
        return round(curve[0][0] / words, 3)
    for (left, low), (right, high) in pairwise(curve):
        if low < goal <= high:
            return round((left + (right - left) * (goal - low) / (high - low)) / words, 3)
    return None


def write_json(path: Path, value: Any) -> None:
    """Write JSON in one step: what is there is whole."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode("utf8"))


if __name__ == "__main__":
    main()
