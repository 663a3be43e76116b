"""Evaluate a pipeline on a gold corpus: a table on the console and a JSON file."""

import argparse
import json
from pathlib import Path

import spacy
from wasabi import msg

from spacy_bert_ner.evaluation import evaluate, table
from spacy_bert_ner.files import write_atomically


def main() -> None:
    """Parse the arguments, evaluate, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="folder or package name of a pipeline")
    parser.add_argument("corpus", type=Path, help="gold corpus (.spacy)")
    parser.add_argument("output", type=Path, help="where to write the measures (.json)")
    parser.add_argument("--gpu-id", type=int, default=-1, help="GPU, or -1 for the CPU")
    args = parser.parse_args()
    if args.gpu_id >= 0:
        spacy.require_gpu(args.gpu_id)
    nlp = spacy.load(args.model)
    metrics = {"model": {key: nlp.meta[key] for key in ("lang", "name", "version")}, **evaluate(nlp, args.corpus)}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.output, (json.dumps(metrics, indent=2) + "\n").encode())
    header = ("type", "precision", "recall", "F1", "gold", "predicted", "correct")
    msg.table(table(metrics), header=header, divider=True, aligns=("l", *"rrrrrr"))
    msg.good(f"{metrics['speed']['words_per_second']:,.0f} words per second. Measures written to {args.output}")


if __name__ == "__main__":
    main()
