"""Calibrate a trained pipeline's confidences on the dev set, and write the pipeline with them."""

import argparse
import json
from pathlib import Path

import spacy
from spacy.training import Corpus
from wasabi import msg

from spacy_bert_ner.calibration.workflow import calibrate
from spacy_bert_ner.ner.lengths import lift_max_length
from spacy_bert_ner.storage.files import write_atomically


def main() -> None:
    """Parse the arguments, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder of the trained pipeline")
    parser.add_argument("dev", type=Path, help="development corpus (.spacy)")
    parser.add_argument("train", type=Path, help="training corpus (.spacy), to know which entities were seen in it")
    parser.add_argument("output", type=Path, help="folder for the calibrated pipeline")
    parser.add_argument("metrics", type=Path, help="where to write the measures before and after (.json)")
    parser.add_argument("--component", default="bert_ner", help="name of the component")
    parser.add_argument("--gpu-id", type=int, default=-1, help="GPU, or -1 for the CPU")
    args = parser.parse_args()
    if args.gpu_id >= 0:
        spacy.require_gpu(args.gpu_id)
    nlp = spacy.load(args.model)
    lift_max_length(nlp)
    train = [example.reference for example in Corpus(args.train)(nlp)]
    measures = calibrate(nlp, args.component, Corpus(args.dev)(nlp), train)
    args.metrics.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.metrics, (json.dumps(measures, indent=2) + "\n").encode())
    nlp.to_disk(args.output)
    columns = [part[when] for part in (measures, measures["raw_text"]) for when in ("before", "after")]
    rows = [
        (name, *("-" if column[name] is None else f"{column[name]:.4f}" for column in columns))
        for name in ("ece", "brier", "log_loss", "auc", "precision_above_0.9")
    ]
    header = ("dev, cross-fitted", "before", "after", "raw text, before", "after")
    msg.table(rows, header=header, divider=True, aligns=("l", *"rrrr"))
    offsets = ", ".join(f"{label} {offset:+.2f}" for label, offset in measures["offsets"].items())
    msg.good(f"Temperature {measures['temperature']:.3f}, log-odds {offsets}. Calibrated pipeline in {args.output}")


if __name__ == "__main__":
    main()
