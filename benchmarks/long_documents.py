"""Benchmark of one long document: time and peak memory by its length, each length in its own process.

    python benchmarks/long_documents.py MODEL CORPUS.spacy OUT.json [--words 50000 100000 200000]

The document is the corpus repeated, truncated to the length. Memory is the process's peak, above that of the loaded and
warm pipeline.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from itertools import cycle, islice
from pathlib import Path

import spacy
from spacy.tokens import Doc, DocBin
from wasabi import msg

from spacy_bert_ner.storage.files import write_atomically

WARM_UP_WORDS = 2000
HEADER = ("words", "seconds", "words/s", "peak MiB", "KiB a word")


def main() -> None:
    """Parse the arguments, run every length, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the pipeline")
    parser.add_argument("corpus", type=Path, help="a corpus to take words from (.spacy)")
    parser.add_argument("output", type=Path, help="where to write the figures (.json)")
    parser.add_argument("--words", type=int, nargs="+", default=[50_000, 100_000, 200_000], help="lengths")
    parser.add_argument("--alone", action="store_true", help="measure the one length in this process")
    args = parser.parse_args()
    if args.alone:
        sys.stdout.write(json.dumps(measure(args.model, args.corpus, args.words[0])) + "\n")
        return
    rows = []
    for words in args.words:
        command = [sys.executable, __file__, str(args.model), str(args.corpus), str(args.output), "--alone"]
        done = subprocess.run([*command, "--words", str(words)], stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        msg.info(f"{words} words done")
    table = [
        (
            row["words"],
            f"{row['seconds']:.1f}",
            f"{row['words'] / row['seconds']:.0f}",
            f"{row['peak_mib']:.0f}",
            f"{1024 * row['peak_mib'] / row['words']:.2f}",
        )
        for row in rows
    ]
    msg.table(table, header=HEADER, divider=True, aligns=("r",) * len(HEADER))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.output, (json.dumps(rows, indent=2) + "\n").encode())
    msg.good(f"Wrote {args.output}")


def measure(model: Path, corpus: Path, length: int) -> dict[str, float]:
    """Run the pipeline over one document. RETURNS: "words", "seconds", "peak_mib", "entities"."""
    nlp = spacy.load(model)
    texts = [token.text for doc in DocBin().from_disk(corpus).get_docs(nlp.vocab) for token in doc]
    nlp(Doc(nlp.vocab, words=list(islice(cycle(texts), WARM_UP_WORDS))))
    doc = Doc(nlp.vocab, words=list(islice(cycle(texts), length)))
    before = peak_mib()
    start = time.perf_counter()
    nlp(doc)
    seconds = time.perf_counter() - start
    return {"words": length, "seconds": seconds, "peak_mib": peak_mib() - before, "entities": len(doc.ents)}


def peak_mib() -> float:
    """RETURNS (float): The peak memory of this process, in MiB."""
    # Kilobytes on Linux, bytes on a Mac.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


if __name__ == "__main__":
    main()
