"""Convert a corpus to spaCy's binary format: train.spacy, dev.spacy and test.spacy, one Doc per document."""

import argparse
import sys
from pathlib import Path

from spacy.vocab import Vocab

from spacy_bert_ner.data import CorpusError, make_doc, read_corpus, save_docs, summary_table
from spacy_bert_ner.data.notes import Notes
from spacy_bert_ner.data.reading_options import ReadingOptions

SAMPLE = Path(__file__).parents[1] / "corpus" / "sample"


def main() -> None:
    """Parse the arguments, read, write, print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="folder of CoNLL column files or of parquet splits, Hub id, or 'sample'")
    parser.add_argument("output", type=Path, help="folder for the three files")
    parser.add_argument("--n-sents", type=int, default=0, help="sentences to a document where nothing tells")
    args = parser.parse_args()
    notes = Notes()
    try:
        splits = read_corpus(args.source, SAMPLE, ReadingOptions(n_sents=args.n_sents), notes)
    except CorpusError as error:
        sys.exit(str(error))
    for kind, _ in notes.lines():
        print(kind)
    vocab = Vocab()
    docs = {split: [make_doc(document, vocab) for document in documents] for split, documents in splits.items()}
    for split, made in docs.items():
        save_docs(made, args.output / f"{split}.spacy")
    print(summary_table(docs))


if __name__ == "__main__":
    main()
