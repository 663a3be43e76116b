"""The systems that benchmarks/small_data.py compares, one in a process: trained on a few sentences, and scored.

    python benchmarks/small_systems.py SYSTEM ENCODER TRAIN STOP FOLDER --score NAME=FILE ... --json FILE

trains a system of small_data.py's on TRAIN in FOLDER, stopping by STOP, and writes F1 on each corpus that is to be
scored, exact entities on annotated tokens, with steps and seconds.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus

# From a corpus to F1.
Score = Callable[[Path], float]


def main() -> None:
    """Train, score, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("encoder", help="folder of the encoder")
    parser.add_argument("train", type=Path, help="training corpus")
    parser.add_argument("stop", type=Path, help="corpus that training may stop by")
    parser.add_argument("folder", type=Path, help="where to work")
    parser.add_argument("--score", action="append", default=[], help="NAME=FILE of a corpus to score")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=10.0, help="after which stock is stopped")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, required=True, help="where to write the figures")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    started = time.perf_counter()
    score, told = SYSTEMS[args.system](args)
    figures = {"train_seconds": round(time.perf_counter() - started, 1), **told}
    for name, _, path in (each.partition("=") for each in args.score):
        figures[f"{name}_f"] = round(100 * score(Path(path)), 2)
    args.json.write_text(json.dumps(figures), encoding="utf8")


def read_docs(path: Path) -> list[Doc]:
    """RETURNS: The documents of a corpus."""
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def train_ours(args: argparse.Namespace) -> tuple[Score, dict[str, Any]]:
    """`init-config`, `bert-ner train`."""
    config, dev = str(args.folder / "config.cfg"), str(args.stop)
    paths = ["--train", str(args.train), "--dev", dev, "--force"]
    run_command("bert-ner", "init-config", config, "--encoder", args.encoder, *paths)
    output = ["--output", str(args.folder / "out"), "--system.seed", str(args.seed), "--fresh"]
    run_command("bert-ner", "train", config, *output)
    return pipeline_scorer(args.folder / "out" / "model-best"), {
        "steps": last_step(args.folder / "out" / "curve.jsonl")
    }


def last_step(curve: Path) -> int:
    """RETURNS: The last step that was evaluated."""
    return int(json.loads(curve.read_text(encoding="utf8").splitlines()[-1])["step"])


def run_command(*words: str) -> None:
    """Run one of spaCy's commands."""
    subprocess.run([sys.executable, "-m", "spacy", *words], stdout=sys.stderr, check=True)


def train_stock(args: argparse.Namespace) -> tuple[Score, dict[str, Any]]:
    """`spacy init config --gpu`, the optimizer's and batcher's settings included; the encoder's name is ours."""
    from spacy.cli.init_config import init_config
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train

    deadline = Deadline(60 * args.minutes)
    spacy.registry.callbacks("small_data.Deadline.v1", func=lambda: deadline)
    config = init_config(lang="en", pipeline=["ner"], optimize="efficiency", gpu=True)
    config["components"]["transformer"]["model"]["name"] = args.encoder
    config["paths"] |= {"train": str(args.train), "dev": str(args.stop)}
    config["system"] |= {"seed": args.seed, "gpu_allocator": None}
    config["training"]["before_update"] = {"@callbacks": "small_data.Deadline.v1"}
    nlp = init_nlp(config, use_gpu=-1)
    ended_by = "its own end"
    best = args.folder / "out" / "model-best"
    best.parent.mkdir(exist_ok=True)
    try:
        train(nlp, args.folder / "out", use_gpu=-1)
    except TimeoutError:
        ended_by = f"the limit of {args.minutes:g} minutes"
        keep_the_better(nlp, args.stop, best)
    return pipeline_scorer(best), {"steps": deadline.step, "ended_by": ended_by}


def keep_the_better(nlp: Language, stop: Path, best: Path) -> None:
    """Save a pipeline as the best one where it is: the loop evaluates only every 200 steps, of which few fit in."""
    scores = nlp.evaluate(Corpus(stop)(nlp))
    known = json.loads((best / "meta.json").read_text(encoding="utf8"))["performance"]
    if (scores["ents_f"] or 0.0) > (known["ents_f"] or 0.0):
        nlp.to_disk(best)


class Deadline:
    """What spaCy's loop calls before each update. seconds: After which it raises TimeoutError."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.step = 0
        self._end: float | None = None

    def __call__(self, nlp: Any, info: dict[str, Any]) -> None:
        now = time.monotonic()
        self._end = self._end or now + self.seconds
        self.step = info["step"]
        if now > self._end:
            raise TimeoutError


def pipeline_scorer(path: Path) -> Score:
    """RETURNS: A function from a corpus to a pipeline's F1 on annotated tokens."""
    nlp = spacy.load(path)

    def score(corpus: Path) -> float:
        gold = read_docs(corpus)
        bare = [Doc(nlp.vocab, words=[token.text for token in doc]) for doc in gold]
        found = [entities_of(doc) for doc in nlp.pipe(bare)]
        return f1([entities_of(doc) for doc in gold], found)

    return score


def entities_of(doc: Doc) -> set[tuple[int, int, str]]:
    """RETURNS: A document's entities, by their tokens."""
    return {(ent.start, ent.end, ent.label_) for ent in doc.ents}


def f1(gold: Sequence[set[Any]], found: Sequence[set[Any]]) -> float:
    """RETURNS: F1 of entities, over all documents."""
    right = sum(len(a & b) for a, b in zip(gold, found, strict=True))
    total = sum(map(len, gold)) + sum(map(len, found))
    return 2 * right / total if total else 0.0


def train_trainer(args: argparse.Namespace) -> tuple[Score, dict[str, Any]]:
    """Hugging Face's `run_ner.py` with its defaults."""
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        Trainer,
        TrainingArguments,
    )

    docs = read_docs(args.train)
    labels = sorted({ent.label_ for doc in docs for ent in doc.ents})
    names = ["O", *(f"{bio}-{label}" for label in labels for bio in "BI")]
    tokenizer = AutoTokenizer.from_pretrained(args.encoder)
    arguments = TrainingArguments(
        output_dir=str(args.folder / "out"),
        per_device_train_batch_size=8,
        num_train_epochs=3,
        learning_rate=5e-5,
        seed=args.seed,
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = Trainer(
        model_init=lambda: AutoModelForTokenClassification.from_pretrained(args.encoder, num_labels=len(names)),
        args=arguments,
        train_dataset=label_pieces(tokenizer, docs, names),
        data_collator=DataCollatorForTokenClassification(tokenizer),
    )
    trainer.train()

    def score(corpus: Path) -> float:
        gold = read_docs(corpus)
        rows = label_pieces(tokenizer, gold, names)
        best = trainer.predict(rows).predictions.argmax(-1)
        tags = [
            [names[best[i][j]] for j, label in enumerate(row["labels"]) if label != -100] for i, row in enumerate(rows)
        ]
        return f1(
            [entities_of_tags(tags_of(sent)) for doc in gold for sent in doc.sents], list(map(entities_of_tags, tags))
        )

    return score, {"steps": trainer.state.global_step}


def tags_of(sent: Iterable[Any]) -> list[str]:
    """RETURNS: A sentence's BIO tags."""
    return [f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O" for token in sent]


def label_pieces(tokenizer: Any, docs: Iterable[Doc], names: Sequence[str]) -> list[dict[str, Any]]:
    """RETURNS: Of each sentence its word pieces, labelled where a word begins."""
    rows = []
    for sent in (sent for doc in docs for sent in doc.sents):
        encoded = tokenizer([token.text for token in sent], is_split_into_words=True, truncation=True)
        tags = tags_of(sent)
        labels, before = [], None
        for word in encoded.word_ids():
            begins = word is not None and word != before
            # Types that few sentences do not show cannot be predicted; 0 keeps the word's place.
            labels.append((names.index(tags[word]) if tags[word] in names else 0) if begins else -100)
            before = word
        rows.append({"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"], "labels": labels})
    return rows


def entities_of_tags(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """RETURNS: Entities of BIO tags as conlleval reads them: an I- that does not go on begins one."""
    found, begin, label = set(), 0, ""
    for i, tag in enumerate([*tags, "O"]):
        if label and tag != f"I-{label}":
            found.add((begin, i, label))
            label = ""
        if tag != "O" and not label:
            begin, label = i, tag[2:]
    return found


SYSTEMS: dict[str, Callable[[argparse.Namespace], tuple[Score, dict[str, Any]]]] = {
    "ours": train_ours,
    "stock": train_stock,
    "trainer": train_trainer,
}

if __name__ == "__main__":
    main()
