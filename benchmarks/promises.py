"""How often promises are broken: fitted on one half of a dev set's documents, checked on the other.

    python benchmarks/promises.py MODEL... --dev DEV.spacy --train TRAIN.spacy --output OUT.json [--test TEST.spacy]

Each model is predicted once; it is calibrated on DEV in memory, and left as it is on the disk. A promise is made on a
random half of the documents and checked on the other half, 200 times a model, for precision 0.97 and 0.99 and recall
0.99, overall and by type, with certainty 0.95. The temperature and the offsets are those fitted on all of DEV. Two
figures say how often a promise is broken, on gold tokens or on raw text, whichever is worse:

  measured   on the other half the share is below what was promised. This is what is promised: a share that is measured
             on as many other documents. It should happen in at most 5 % of the splits. (A bound of the true share alone
             would look broken in 12 % of them, as the other half errs as much as the first, and the error of the
             difference is larger by the root of two: 1 - Phi(1.645 / 1.414) = 0.12.)
  true       the share in a known population is below what was promised: all documents of DEV are taken for the
             population, and the promise is made from as many documents as a half has, drawn with replacement.

By type, a promise is broken where it is for any of the types; the types by themselves are listed, too. "as asked" is
the share of promises that could be made as high as they were asked for; the others promise less, and are checked by
that. "amount" is how many entities (for a recall, words) are set, to how many without the promise. With --test,
promises are made on the whole of DEV and read on TEST, with intervals by bootstrap over documents.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus
from wasabi import msg

from spacy_bert_ner.arrays import Ints
from spacy_bert_ner.calibration.entities import Decoded, decode_examples, entity_texts, tabulate_entities
from spacy_bert_ner.calibration.judgements import Judgements
from spacy_bert_ner.calibration.promising import PromiseData, PromiseRequest, PromiseRow, judge_for, make_promise
from spacy_bert_ner.calibration.workflow import balanced_fit
from spacy_bert_ner.decoding.lattice import ranges
from spacy_bert_ner.evaluation.bootstrap import Resampling, intervals
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.promise import Measure
from spacy_bert_ner.rawtext.retokenizing import both_forms
from spacy_bert_ner.storage.files import write_atomically

ASKED: tuple[tuple[Measure, float], ...] = (("precision", 0.97), ("precision", 0.99), ("recall", 0.99))
REQUESTS = [PromiseRequest(measure, least, by_type=by) for measure, least in ASKED for by in (False, True)]


class Checked(NamedTuple):
    """What became of a promise: the share on both forms, what was promised, and how much is set to before."""

    gold_tokens: float
    raw_text: float
    promised: float
    amount: float

    @property
    def broken(self) -> bool:
        """RETURNS (bool): Whether less than was promised is there, on gold tokens or on raw text."""
        return min(self.gold_tokens, self.raw_text) < self.promised


class Split(NamedTuple):
    """A simulated promise, by group of labels: is it what was asked for, and what became of it?"""

    as_asked: dict[str, bool]
    measured: dict[str, Checked]
    true: dict[str, Checked]


def main() -> None:
    """Parse the arguments, simulate, print tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", help="folders of trained pipelines")
    parser.add_argument("--dev", type=Path, required=True, help="documents to make promises on (.spacy)")
    parser.add_argument("--train", type=Path, required=True, help="what the pipelines were trained on (.spacy)")
    parser.add_argument("--test", type=Path, help="documents to read promises on (.spacy)")
    parser.add_argument("--output", type=Path, required=True, help="where to write the figures (.json)")
    parser.add_argument("--splits", type=int, default=200, help="random splits for each model")
    parser.add_argument("--seed", type=int, default=0, help="of the splits")
    args = parser.parse_args()
    names = [name_request(request) for request in REQUESTS]
    splits: dict[str, list[Split]] = {name: [] for name in names}
    read: dict[str, dict[str, Any]] = {}
    for model in args.models:
        nlp, component = load(model)
        decoded = decode(nlp, component, args.dev)
        fit_confidences(component, decoded, [example.reference for example in Corpus(args.train)(nlp)])
        dev = judge(component, decoded)
        for request, name in zip(REQUESTS, names, strict=True):
            splits[name] += simulate(request, dev[name], component.labels, args.splits, args.seed)
        if args.test:
            test = judge(component, decode(nlp, component, args.test))
            read[str(model)] = {
                name: read_on(request, dev[name], test[name], component.labels)
                for request, name in zip(REQUESTS, names, strict=True)
            }
    found = {name: summarise_splits(own) for name, own in splits.items()}
    figures = {"splits": args.splits, "models": len(args.models), "seed": args.seed, "simulated": found, "test": read}
    write_atomically(args.output, (json.dumps(figures, indent=2) + "\n").encode("utf8"))
    show(found, read)


def load(model: Path) -> tuple[Language, BertNER]:
    """RETURNS (tuple[Language, BertNER]): The pipeline, and its only component."""
    nlp = spacy.load(model)
    (component,) = (pipe for _, pipe in nlp.pipeline if isinstance(pipe, BertNER))
    return nlp, component


def decode(nlp: Language, component: BertNER, corpus: Path) -> list[Decoded]:
    """RETURNS (list[Decoded]): Both forms of a corpus, predicted once."""
    forms = [form for example in Corpus(corpus)(nlp) for form in both_forms(nlp, example)]
    return list(decode_examples(nlp, component.name, forms))


def fit_confidences(component: BertNER, dev: Sequence[Decoded], train: Sequence[Doc]) -> None:
    """Calibrate a component in place, as `calibrate` does."""
    entities, labels = tabulate_entities(dev), component.labels
    fitted = balanced_fit(entities, entity_texts(train), len(labels))(np.arange(len(entities.text)))
    component.cfg["temperature"] = fitted.temperature
    component.cfg["offsets"] = dict(zip(labels, fitted.offsets.tolist(), strict=True))


def judge(component: BertNER, decoded: Sequence[Decoded]) -> dict[str, PromiseData]:
    """RETURNS (dict[str, PromiseData]): What each promise looks at."""
    fitted = component.labels, component.cfg["temperature"], component.cfg["offsets"], component.settings.threshold
    return {name_request(request): judge_for(request, decoded, *fitted) for request in REQUESTS}


def name_request(request: PromiseRequest) -> str:
    """RETURNS (str): Such as "precision 0.97, by type"."""
    return f"{request.measure} {request.least:g}, {'by type' if request.by_type else 'overall'}"


def simulate(
    request: PromiseRequest, judged: PromiseData, labels: Sequence[str], splits: int, seed: int
) -> list[Split]:
    """Make and check promises. RETURNS (list[Split]): One for each random split."""
    rng = np.random.default_rng(seed)
    documents = int(max(judged.counted.document.max(), judged.amount.document.max())) + 1
    half, found = documents // 2, []
    for _ in range(splits):
        order = rng.permutation(documents)
        _, rows = make_promise(request, draw(judged, order[:half]), labels)
        other = draw(judged, order[half:])
        measured = {row.name: check(row, other, labels, request) for row in rows}
        _, drawn = make_promise(request, draw(judged, rng.integers(0, documents, half)), labels)
        true = {row.name: check(row, judged, labels, request) for row in drawn}
        found.append(Split({row.name: row.promised >= request.least for row in rows}, measured, true))
    return found


def draw(judged: PromiseData, documents: Ints) -> PromiseData:
    """RETURNS (PromiseData): What there is of documents, each as often as it is named, as one of its own."""
    return PromiseData(*(draw_from(own, documents) for own in (judged.counted, judged.amount)))


def draw_from(judged: Judgements, documents: Ints) -> Judgements:
    """RETURNS (Judgements): See `draw`."""
    order = np.argsort(judged.document, kind="stable")
    begin, end = (np.searchsorted(judged.document[order], documents, side) for side in ("left", "right"))
    chosen = order[ranges(begin, end - begin)]
    return replace(judged.take(chosen), document=np.repeat(np.arange(len(documents)), end - begin))


def check(row: PromiseRow, judged: PromiseData, labels: Sequence[str], request: PromiseRequest) -> Checked:
    """RETURNS (Checked): What became of a promise on other documents."""
    own = judged.of([labels.index(label) for label in row.labels])
    shares = []
    for raw in (False, True):
        form = own.counted.take(own.counted.raw == raw)
        above = form.score >= row.threshold
        right, whole = (above, np.ones_like(above)) if request.measure == "recall" else (form.right & above, above)
        # Where there is nothing, nothing is broken.
        shares.append(float(right.sum() / whole.sum()) if whole.any() else 1.0)
    plain = own.amount.score[~own.amount.raw]
    unchanged = plain >= (0.0 if request.measure == "precision" else 1.0)
    amount = (plain >= row.threshold).sum() / max(unchanged.sum(), 1)
    return Checked(shares[0], shares[1], row.promised, float(amount))


def summarise_splits(splits: Sequence[Split]) -> dict[str, dict[str, float]]:
    """RETURNS (dict[str, dict[str, float]]): Figures of each group of labels; by type, of "any" of them too."""
    found = {}
    for name in splits[0].measured:
        own = [split.measured[name] for split in splits]
        found[name] = {
            "as asked": float(np.mean([split.as_asked[name] for split in splits])),
            "promised": float(np.mean([one.promised for one in own])),
            "broken, measured": float(np.mean([one.broken for one in own])),
            "broken, measured, gold tokens": float(np.mean([one.gold_tokens < one.promised for one in own])),
            "broken, true": float(np.mean([split.true[name].broken for split in splits])),
            "amount": float(np.mean([one.amount for one in own])),
        }
    if len(found) > 1:
        found["any"] = {
            f"broken, {kind}": float(np.mean([any(one.broken for one in side(split).values()) for split in splits]))
            for kind, side in (("measured", lambda split: split.measured), ("true", lambda split: split.true))
        }
    return found


def read_on(request: PromiseRequest, dev: PromiseData, test: PromiseData, labels: Sequence[str]) -> dict[str, Any]:
    """Make a promise on one corpus, and read it on another. RETURNS (dict[str, Any]): Figures by group of labels."""
    _, rows = make_promise(request, dev, labels)
    found = {}
    for row in rows:
        own = test.of([labels.index(label) for label in row.labels]).counted
        checked = check(row, test, labels, request)
        ends = {}
        for raw, form in ((False, "gold tokens"), (True, "raw text")):
            counts = count_documents(own.take(own.raw == raw), row.threshold, request)
            both = intervals(counts, Resampling())
            ends[form] = None if both is None else both[:, 0, 1].tolist()
        found[row.name] = {
            "promised": row.promised,
            "threshold": row.threshold,
            "dev": row.observed,
            "gold tokens": checked.gold_tokens,
            "raw text": checked.raw_text,
            "intervals": ends,
            "amount": checked.amount,
            "broken": checked.broken,
        }
    return found


def count_documents(judged: Judgements, threshold: float, request: PromiseRequest) -> Ints:
    """RETURNS (Ints): Of each document what counts, again, and what is right, as recall counts it. (documents, 1, 3)"""
    above = judged.score >= threshold
    whole, right = (np.ones_like(above), above) if request.measure == "recall" else (above, above & judged.right)
    counts = [np.bincount(judged.document, weights=own).astype(np.int64) for own in (whole, whole, right)]
    return np.stack(counts, axis=1)[:, None]


def show(found: dict[str, dict[str, dict[str, float]]], read: dict[str, dict[str, Any]]) -> None:
    """Print what was found."""
    columns = ("as asked", "promised", "broken, measured", "broken, measured, gold tokens", "broken, true", "amount")
    rows = [
        (name, group, *(f"{figures[column]:.3f}" if column in figures else "" for column in columns))
        for name, groups in found.items()
        for group, figures in groups.items()
    ]
    msg.table(rows, header=("promise", "of", *columns), divider=True, aligns=("l", "l", *"rrrrrr"))
    parts = ("promised", "gold tokens", "raw text", "amount")
    rows = [
        (model, name, group, *(f"{figures[part]:.4f}" for part in parts), "broken" if figures["broken"] else "held")
        for model, own in read.items()
        for name, groups in own.items()
        for group, figures in groups.items()
    ]
    if rows:
        msg.table(rows, header=("model", "promise", "of", *parts, ""), divider=True, aligns=("l", "l", "l", *"rrrrl"))


if __name__ == "__main__":
    main()
