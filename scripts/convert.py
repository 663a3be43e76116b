"""Convert a corpus to spaCy's binary format: train.spacy, dev.spacy and test.spacy, one Doc per document."""

import argparse
import sys
from pathlib import Path

from spacy_bert_ner.corpus import CorpusError, read_corpus, summary_table, write_docs

SAMPLE = Path(__file__).parents[1] / "corpus" / "sample"


def main() -> None:
    """Parse the arguments, read, write, print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="folder of CoNLL column files or of parquet splits, Hub id, or 'sample'")
    parser.add_argument("output", type=Path, help="folder for the three files")
    args = parser.parse_args()
    try:
        splits = read_corpus(args.source, SAMPLE)
    except CorpusError as error:
        sys.exit(str(error))
    for split, documents in splits.items():
        write_docs(documents, args.output / f"{split}.spacy")
    print(summary_table(splits))


if __name__ == "__main__":
    main()
