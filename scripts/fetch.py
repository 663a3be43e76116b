"""Fetch a corpus and an encoder into OUT/corpus and OUT/encoder, as plain files that later steps depend on."""

import argparse
import sys
from pathlib import Path

from spacy_bert_ner.data import CorpusError
from spacy_bert_ner.data.assets.fetching import ENCODERS, fetch_corpus, fetch_encoder
from spacy_bert_ner.data.assets.manifest import AssetError, Fetched

SAMPLE = Path(__file__).parents[1] / "corpus" / "sample"


def main() -> None:
    """Parse the arguments, fetch, say what changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", help="folder of CoNLL column files or of parquet splits, Hub id, or 'sample'")
    parser.add_argument("--encoder", help=f"folder, Hub id, or {', '.join(ENCODERS)}")
    parser.add_argument("--out", type=Path, required=True, help="folder for both")
    args = parser.parse_args()
    if not args.corpus and not args.encoder:
        parser.error("nothing to fetch: expected --corpus, --encoder or both")
    try:
        if args.corpus:
            report(args.out / "corpus", fetch_corpus(args.corpus, args.out / "corpus", SAMPLE))
        if args.encoder:
            report(args.out / "encoder", fetch_encoder(args.encoder, args.out / "encoder"))
    except (AssetError, CorpusError) as error:
        sys.exit(str(error))


def report(folder: Path, fetched: Fetched) -> None:
    """Print what a fetch did."""
    print(f"{folder}: {fetched.origin.source}: {', '.join(fetched.changed) or 'up to date'}")


if __name__ == "__main__":
    main()
