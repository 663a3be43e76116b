"""How well `bert-ner audit` finds broken annotation: entities of a corpus are broken at random, and audited.

    python benchmarks/audit.py CORPUS.spacy WORK --config configs/bert.cfg --json FILE [--folds 5] [--seeds 0,1,2]
        [--share 0.05] [SETTINGS OF THE CONFIG, as --paths.encoder DIR --paths.dev DEV.spacy --epochs 4.5]
    python benchmarks/audit.py CORPUS.spacy WORK --model MODEL --json FILE [--seeds 0,1,2] [--share 0.05]

breaks a share of the entities, a quarter each in its type, in its boundary by a word, by dropping it and by inventing
one elsewhere; audits the result by folds, or by a model that was not trained on the corpus; and counts how many of the
first places are broken ones, of as many as were broken and of 100: with precedents, as the command ranks, and by the
model alone. Of the first 100, those that were not broken are in WORK/seed-N/to-read.jsonl: the corpus itself may be
wrong there. Each seed is written to WORK when it is done; the same command goes on where it was.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.util import load_config

from spacy_bert_ner.data.documents import save_docs
from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.tags import Entity
from spacy_bert_ner.training.data_curve import locate_corpus

KINDS = ("type", "boundary", "dropped", "invented")
FIRST = 100
# More than any corpus has.
ALL_PLACES = 10**9


@dataclass(frozen=True)
class Broken:
    """A place that was broken.

    document (int): Index of the document.
    start, end (int): The tokens of what was there and of what is there now, the end exclusive.
    kind (str): One of KINDS.
    """

    document: int
    start: int
    end: int
    kind: str


class Breaker:
    """Breaks entities of documents, in place.

    docs (Sequence[Doc]): The documents.
    seed (int): Of what is drawn.
    """

    def __init__(self, docs: Sequence[Doc], seed: int) -> None:
        self.docs = docs
        self.random = random.Random(seed)
        self.ents = [[Entity(ent.start, ent.end, ent.label_) for ent in doc.ents] for doc in docs]
        # What is broken may not be broken again: of either state.
        self.taken = [[*own] for own in self.ents]
        self.labels = sorted({ent.label for own in self.ents for ent in own})

    def run(self, share: float) -> list[Broken]:
        """Break a share of the entities. RETURNS (list[Broken]): What was broken, each kind as often, up to one."""
        entities = [(i, ent) for i, own in enumerate(self.ents) for ent in own]
        count = round(share * len(entities))
        drawn = iter(self.random.sample(entities, len(entities)))
        ways: dict[str, Callable[[int, Entity], Broken | None]] = {
            "type": self._change_type,
            "boundary": self._move_boundary,
            "dropped": self._drop,
            "invented": self._invent,
        }
        broken: list[Broken] = []
        while len(broken) < count:
            done = ways[KINDS[len(broken) % len(KINDS)]](*next(drawn))
            broken += [done] if done else []
        for doc, own in zip(self.docs, self.ents, strict=True):
            doc.set_ents([Span(doc, *ent) for ent in sorted(own)], default="outside")
        return broken

    def _replace(self, i: int, old: Entity | None, new: Entity | None, kind: str) -> Broken:
        if old:
            self.ents[i].remove(old)
        if new:
            self.ents[i].append(new)
            self.taken[i].append(new)
        both = [ent for ent in (old, new) if ent]
        return Broken(i, min(ent.start for ent in both), max(ent.end for ent in both), kind)

    def _change_type(self, i: int, ent: Entity) -> Broken:
        label = self.random.choice([label for label in self.labels if label != ent.label])
        return self._replace(i, ent, ent._replace(label=label), "type")

    def _move_boundary(self, i: int, ent: Entity) -> Broken | None:
        moved = [ent._replace(start=ent.start + a, end=ent.end + b) for a, b in ((-1, 0), (1, 0), (0, -1), (0, 1))]
        possible = [new for new in moved if new.start < new.end and self._is_free(i, new, ent)]
        return self._replace(i, ent, self.random.choice(possible), "boundary") if possible else None

    def _drop(self, i: int, ent: Entity) -> Broken:
        return self._replace(i, ent, None, "dropped")

    def _invent(self, _: int, like: Entity) -> Broken | None:
        """Invent an entity of another one's length and type, anywhere in the corpus."""
        i = self.random.choices(range(len(self.docs)), [len(doc) for doc in self.docs])[0]
        start = self.random.randrange(len(self.docs[i]))
        new = Entity(start, start + like.end - like.start, like.label)
        return self._replace(i, None, new, "invented") if self._is_free(i, new) else None

    def _is_free(self, i: int, new: Entity, old: Entity | None = None) -> bool:
        """Say whether a span is within a sentence, and touches no other entity that is or was there."""
        doc = self.docs[i]
        if new.start < 0 or new.end > len(doc):
            return False
        if any(token.is_sent_start for token in doc[new.start + 1 : new.end]):
            return False
        return not any(ent != old and ent.start < new.end and new.start < ent.end for ent in self.taken[i])


def main() -> None:
    """Parse the arguments, audit each seed, sum up."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("corpus", type=Path, help="annotated documents (.spacy)")
    parser.add_argument("work", type=Path, help="folder of the audits")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--config", type=Path, help="training config, for folds")
    how.add_argument("--model", help="a pipeline that was not trained on the corpus")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--share", type=float, default=0.05, help="of the entities, to be broken")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    args, settings = parser.parse_known_args()
    found = {seed: measure(args, seed, settings) for seed in map(int, args.seeds.split(","))}
    figures = {"folds": None if args.model else args.folds, "mean": average(list(found.values())), "seeds": found}
    if args.json:
        write_json(args.json, figures)
    print(json.dumps(figures, indent=2))


def measure(args: argparse.Namespace, seed: int, settings: Sequence[str]) -> dict[str, Any]:
    """Break, audit and count, unless that has been done. RETURNS (dict[str, Any]): The figures of a seed."""
    folder = args.work / f"seed-{seed}"
    done = folder / "figures.json"
    if done.exists():
        return dict(json.loads(done.read_text(encoding="utf8")))
    docs = list(DocBin().from_disk(args.corpus).get_docs(spacy.blank("en").vocab))
    broken = Breaker(docs, seed).run(args.share)
    save_docs(docs, folder / "broken.spacy")
    write_json(folder / "broken.json", [asdict(each) for each in broken])
    run_audit(args, folder, settings)
    lines = (folder / "audit" / "doubts.jsonl").read_text(encoding="utf8").splitlines()
    doubts = [json.loads(line) for line in lines]
    to_read = [doubt for doubt in doubts[:FIRST] if not is_broken(doubt, broken)]
    content = "".join(json.dumps(doubt) + "\n" for doubt in to_read)
    write_atomically(folder / "to-read.jsonl", content.encode("utf8"))
    by_model = sorted(doubts, key=lambda each: (-each["posterior"]["suggested"], each["posterior"]["annotated"]))
    strength = json.loads((folder / "audit" / "figures.json").read_text(encoding="utf8"))["strength"]
    figures = {
        "entities": sum(len(doc.ents) for doc in docs),
        "broken": len(broken),
        "places": len(doubts),
        "strength": strength,
        "ranked": count(doubts, broken),
        "model alone": count(by_model, broken),
    }
    write_json(done, figures)
    return figures


def run_audit(args: argparse.Namespace, folder: Path, settings: Sequence[str]) -> None:
    """Run the command, which goes on where it was interrupted."""
    corpus = folder / "broken.spacy"
    command = [sys.executable, "-m", "spacy_bert_ner", "audit"]
    if args.model:
        command += [str(corpus), str(folder / "audit"), "--model", args.model]
    else:
        setting, _ = locate_corpus(load_config(args.config, overrides={"paths.train": str(corpus)}, interpolate=False))
        command += [str(args.config), str(folder / "audit"), "--folds", str(args.folds), f"--{setting}", str(corpus)]
    subprocess.run([*command, "--count", str(ALL_PLACES), *settings], stdout=sys.stderr, check=True)


def is_broken(doubt: dict[str, Any], broken: Sequence[Broken]) -> bool:
    """RETURNS (bool): Whether a place overlaps one that was broken."""
    start, end = doubt["tokens"]
    return any(each.document == doubt["document"] and each.start < end and start < each.end for each in broken)


def count(doubts: Sequence[dict[str, Any]], broken: Sequence[Broken]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): Precision at as many places as were broken and at 100; by kind, the share found."""
    by_document: dict[int, list[Broken]] = {}
    for each in broken:
        by_document.setdefault(each.document, []).append(each)
    first = doubts[: len(broken)]
    hits = [is_broken(doubt, by_document.get(doubt["document"], [])) for doubt in first]
    found: Counter[str] = Counter()
    for each in broken:
        own = (doubt["tokens"] for doubt in first if doubt["document"] == each.document)
        found[each.kind] += any(each.start < end and start < each.end for start, end in own)
    wrong = Counter(doubt["kind"] for doubt, hit in zip(first, hits, strict=True) if not hit)
    number = Counter(each.kind for each in broken)
    return {
        "precision at the number broken": round(statistics.mean(hits), 4) if hits else None,
        f"precision at {FIRST}": round(statistics.mean(hits[:FIRST]), 4) if hits else None,
        "found by kind": {kind: round(found[kind] / number[kind], 4) for kind in KINDS if number[kind]},
        "not broken by kind": dict(wrong.most_common()),
    }


def average(seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): Means over the seeds of what is one number."""
    keys = ("precision at the number broken", f"precision at {FIRST}")
    return {
        name: {key: round(statistics.mean(each[name][key] for each in seeds), 4) for key in keys}
        for name in ("ranked", "model alone")
        if all(each["broken"] for each in seeds)
    }


def write_json(path: Path, value: Any) -> None:
    """Write JSON in one step: what is there is whole."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode("utf8"))


if __name__ == "__main__":
    main()
