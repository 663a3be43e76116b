"""`fetch`: a corpus and an encoder from the Hub or a folder, as plain files that later steps depend on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Arg, Opt
from .wrapping import CommandError

if TYPE_CHECKING:
    from spacy_bert_ner.data.assets.manifest import Fetched


def fetch_cli(
    output: Annotated[Path, Arg(help="Folder for both, which get folders of their own: corpus and encoder")],
    corpus: Annotated[
        str | None, Opt("--corpus", help="Folder of CoNLL column files or parquet splits, or id of a Hub data set")
    ] = None,
    encoder: Annotated[str | None, Opt("--encoder", "-e", help="Folder, Hub id, or minilm")] = None,
) -> None:
    """Fetch a corpus and a pretrained encoder as plain files; what is there already is not fetched again."""
    from spacy_bert_ner.data.assets.fetching import fetch_corpus, fetch_encoder

    if not corpus and not encoder:
        raise CommandError("Nothing to fetch", "Expected --corpus, --encoder or both")
    if output.exists() and not output.is_dir():
        raise CommandError(f"{output} is a file, expected the name of a folder")
    if corpus:
        report(output / "corpus", fetch_corpus(corpus, output / "corpus"))
    if encoder:
        report(output / "encoder", fetch_encoder(encoder, output / "encoder"))


def report(folder: Path, fetched: "Fetched") -> None:
    """Print what a fetch did."""
    typer.echo(f"{folder}: {fetched.origin.source}: {', '.join(fetched.changed) or 'up to date'}")
