"""Benchmark of decoding and confidences: F1 by decoder, calibration, and decoding's share of prediction time.

    python benchmarks/decoding.py MODEL TRAIN.spacy DEV.spacy TEST.spacy OUT.json

All figures come from one pass of the network over each of dev and test, without gold sentence starts. The names:
    argmax     the best tag of each token; ill-formed tags are read as conlleval and seqeval's default mode read them
    repaired   from left to right, the best tag that may follow the one before
    viterbi    the best legal sequence: what the pipeline does
    dev        confidences cross-fitted by documents: each half scored by what was fitted on the other one
    test       confidences by what was fitted on all of dev
Time is measured separately, over the first documents of test: decoding (Viterbi, entities, their posteriors and
runners-up) beside the whole of `nlp.pipe`. Every token of the corpora must be annotated.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus, Example
from spacy.util import minibatch
from wasabi import msg

from spacy_bert_ner.calibration import Calibration, cross_fit, reliability_by_type, risk_coverage, summarise
from spacy_bert_ner.calibration.entities import JudgedEntities, decode_examples, entity_texts, tabulate_entities
from spacy_bert_ner.calibration.workflow import balanced_fit
from spacy_bert_ner.decoding import Lattice, viterbi
from spacy_bert_ner.evaluation.counts import count_all, name_rates, rates
from spacy_bert_ner.evaluation.document_records import Judged
from spacy_bert_ner.ner.annotations import trim_whitespace
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.decoded import DecodedBatch
from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.tags import Entity, read_entities

Tags = npt.NDArray[np.int64]
Decoder = Callable[[Lattice, npt.NDArray[Any], npt.NDArray[Any]], Tags]
Decoded = Sequence[tuple[list[Example], DecodedBatch]]
SPLITS = ("dev", "test")
# Where the risk-coverage curve is read off.
COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the arguments, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the pipeline, calibrated or not")
    parser.add_argument("train", type=Path, help="training corpus (.spacy), to know which entities were seen in it")
    parser.add_argument("dev", type=Path, help="development corpus (.spacy)")
    parser.add_argument("test", type=Path, help="test corpus (.spacy)")
    parser.add_argument("output", type=Path, help="where to write the figures (.json)")
    parser.add_argument("--component", default="bert_ner", help="name of the component")
    parser.add_argument("--timed", type=int, default=100, help="test documents to time")
    args = parser.parse_args(arguments)
    nlp = spacy.load(args.model)
    splits = {name: list(decode_examples(nlp, args.component, Corpus(getattr(args, name))(nlp))) for name in SPLITS}
    figures = {
        "f1": {name: compare_decoders(decoded) for name, decoded in splits.items()},
        "confidence": measure_confidences(splits, entity_texts(eg.reference for eg in Corpus(args.train)(nlp))),
        "time": measure_time(nlp, args.component, list(Corpus(args.test, limit=args.timed)(nlp))),
    }
    show(figures)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.output, (json.dumps(figures, indent=2) + "\n").encode())
    msg.good(f"Written: {args.output}")


def argmax(lattice: Lattice, scores: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> Tags:
    """Take each token's best tag. RETURNS (Tags): (rows,)"""
    best: Tags = scores.argmax(axis=1)
    return best


def repair(lattice: Lattice, scores: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> Tags:
    """Take, from left to right, each token's best tag among those that may follow the one before. RETURNS: (rows,)"""
    tags = np.empty(len(scores), dtype=np.int64)
    for start, end in pairwise(np.cumsum([0, *lengths])):
        allowed = lattice.starts
        for row in range(start, end):
            # One more token can close every open entity, so there is always a legal tag.
            now = allowed & lattice.ends if row == end - 1 else allowed
            tags[row] = np.where(now, scores[row], -np.inf).argmax()
            allowed = lattice.transitions[tags[row]]
    return tags


DECODERS: dict[str, Decoder] = {"argmax": argmax, "repaired": repair, "viterbi": viterbi}


def compare_decoders(decoded: Decoded) -> dict[str, Any]:
    """Score each decoder on the same logits.

    RETURNS (dict[str, Any]): Decoder to precision, recall and F1; "ill_formed", the number of "tokens" whose best tag
        is illegal there.
    """
    found: dict[str, Any] = {}
    for name, decode in DECODERS.items():
        read = [one for examples, batch in decoded for one in read_batch(examples, batch, decode)]
        found[name] = name_rates(rates(count_all(read).total()[0]))
    batches = [batch for _, batch in decoded]
    return found | {"ill_formed": sum(map(count_ill_formed, batches)), "tokens": sum(len(b.logits) for b in batches)}


def read_batch(examples: Sequence[Example], batch: DecodedBatch, decode: Decoder) -> Iterable[Judged]:
    """Read the entities that a decoder finds. RETURNS (Iterable[Judged]): One per document."""
    tags = decode(batch.lattice, batch.logits, batch.lengths)
    names, bounds = np.array(batch.lattice.tags, dtype=object)[tags], np.cumsum([0, *batch.lengths])
    documents = np.cumsum([0, *(len(eg.predicted) for eg in examples)])
    for eg, start, end in zip(examples, documents, documents[1:], strict=False):
        sequences = [(a, b) for a, b in pairwise(bounds) if start <= a < b <= end]
        entities = [
            trim_whitespace(eg.predicted, Entity(int(a - start) + ent.start, int(a - start) + ent.end, ent.label))
            for a, b in sequences
            for ent in read_entities(names[a:b])
        ]
        gold = [Entity(ent.start, ent.end, ent.label_) for ent in eg.get_aligned_spans_y2x(eg.reference.ents)]
        yield Judged(gold, [ent for ent in entities if ent.start < ent.end])


def count_ill_formed(batch: DecodedBatch) -> int:
    """Count the tokens whose best tag is illegal there."""
    tags, lattice = argmax(batch.lattice, batch.logits, batch.lengths), batch.lattice
    wrong = 0
    for own in (tags[a:b] for a, b in pairwise(np.cumsum([0, *batch.lengths])) if a < b):
        legal = np.append(lattice.starts[own[:1]], lattice.transitions[own[:-1], own[1:]])
        legal[-1] &= lattice.ends[own[-1]]
        wrong += int((~legal).sum())
    return wrong


def measure_confidences(splits: Mapping[str, Decoded], seen: set[str]) -> dict[str, Any]:
    """Calibrate on dev, and measure confidences before and after on both.

    splits (Mapping[str, Decoded]): "dev" and "test".
    seen (set[str]): Texts of the training set's entities.
    RETURNS (dict[str, Any]): "temperature", "offsets"; split to "before", "after" (see calibration.summarise),
        "risk_at_coverage" and "reliability" by type, in 15 bins of equal mass.
    """
    labels = splits["dev"][0][1].lattice.labels
    entities = {name: tabulate_entities(decoded) for name, decoded in splits.items()}
    dev, test = entities["dev"], entities["test"]
    fit = balanced_fit(dev, seen, len(labels))
    fitted: Calibration = fit(np.arange(len(dev.text)))
    scores = {
        "dev": cross_fit(dev.table, dev.label, dev.document, fit),
        "test": fitted.apply(test.table, test.label),
    }
    found = {name: describe(own, scores[name], labels) for name, own in entities.items()}
    offsets = dict(zip(labels, fitted.offsets.tolist(), strict=True))
    return {"temperature": fitted.temperature, "offsets": offsets, **found}


def describe(entities: JudgedEntities, scores: npt.NDArray[np.float64], labels: Sequence[str]) -> dict[str, Any]:
    """Take all measures of one split. RETURNS (dict[str, Any]): As JSON has them."""
    coverage, risk = risk_coverage(scores, entities.right)
    bins = reliability_by_type(scores, entities.right, [labels[i] for i in entities.label])
    at = {str(share): float(np.interp(share, coverage, risk)) for share in COVERAGES} if len(coverage) else {}
    return {
        "before": summarise(entities.table.at(1.0), entities.right),
        "after": summarise(scores, entities.right),
        "risk_at_coverage": at,
        "reliability": {label: [vars(one) for one in own] for label, own in bins.items()},
    }


def measure_time(nlp: Language, name: str, examples: Sequence[Example]) -> dict[str, Any]:
    """Time the whole pipeline, and, on the logits of the same batches, what comes after the network.

    RETURNS (dict[str, Any]): "words"; "pipe", "viterbi" (with extracting the entities) and "posteriors" (with
        runners-up), in seconds; "share" of the latter two in the first.
    """
    component: BertNER = nlp.get_pipe(name)  # type: ignore[assignment]
    batches = [batch for _, batch in decode_examples(nlp, name, [Example(fresh(eg), eg.reference) for eg in examples])]
    docs = [fresh(eg) for eg in examples if len(eg.predicted)]
    start = time.perf_counter()
    done = list(nlp.pipe(docs))
    pipe = time.perf_counter() - start
    spent = {"viterbi": 0.0, "posteriors": 0.0}
    for some, batch in zip(minibatch(done, nlp.batch_size), batches, strict=True):
        start = time.perf_counter()
        again = DecodedBatch.of(
            batch.lattice, batch.logits, list(some), by_sentence=component.settings.sentence_boundaries
        )
        middle = time.perf_counter()
        _ = again.judge(component.cfg["temperature"], component.cfg["offsets"]).runner_up
        spent["viterbi"] += middle - start
        spent["posteriors"] += time.perf_counter() - middle
    words = sum(map(len, docs))
    return {"documents": len(docs), "words": words, "pipe": pipe, **spent, "share": sum(spent.values()) / pipe}


def fresh(example: Example) -> Doc:
    """Copy a document as the corpus hands it over, for another run."""
    doc = example.predicted
    return Doc(doc.vocab, words=[token.text for token in doc], spaces=[bool(token.whitespace_) for token in doc])


def show(figures: dict[str, Any]) -> None:
    """Print the figures as tables."""
    f1 = figures["f1"]
    rows = [(name, *(percent(f1[split][name]["f1"]) for split in SPLITS)) for name in DECODERS]
    rows.append(("ill-formed tags", *(f"{f1[split]['ill_formed']} of {f1[split]['tokens']}" for split in SPLITS)))
    msg.table(rows, header=("F1", *SPLITS), divider=True, aligns=("l", "r", "r"))
    found = figures["confidence"]
    columns = [(split, when) for split in SPLITS for when in ("before", "after")]
    measures = list(found["dev"]["after"])
    body = [(name, *(number(found[split][when][name]) for split, when in columns)) for name in measures]
    msg.table(body, header=("confidence", *map(" ".join, columns)), divider=True, aligns=("l", *"rrrr"))
    curve = [
        (share, *(percent(found[split]["risk_at_coverage"].get(share)) for split in SPLITS))
        for share in map(str, COVERAGES)
    ]
    msg.table(curve, header=("coverage", *(f"{split}, wrong" for split in SPLITS)), divider=True, aligns=("l", *"rr"))
    spent = figures["time"]
    msg.info(
        f"Decoding takes {spent['share']:.2%} of prediction: Viterbi {spent['viterbi']:.2f} s, posteriors "
        f"{spent['posteriors']:.2f} s of {spent['pipe']:.2f} s over {spent['words']} words."
    )


def percent(value: float | None) -> str:
    """Write a share as a percentage."""
    return "-" if value is None else f"{100 * value:.2f}"


def number(value: float | None) -> str:
    """Write a count, or a measure to four places."""
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.4f}"


if __name__ == "__main__":
    main()
