"""`verify`: whether a packaged pipeline works where nothing of this project is installed, offline."""

from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from .arguments import load_pipeline, read_examples, write_figures
from .options import Arg, Json, Opt
from .wrapping import explained

# Texts of a corpus, and characters of a text.
TEXTS, SHOWN = 20, 100


def verify_cli(
    wheels: Annotated[Path, Arg(help="Folder with the two wheels that package wrote", exists=True, file_okay=False)],
    model: Annotated[Path, Arg(help="Folder of the pipeline that was packaged", exists=True, file_okay=False)],
    corpus: Annotated[
        Path | None,
        Opt("--corpus", help=f"The first {TEXTS} texts to try it on (.spacy); by default three", exists=True),
    ] = None,
    figures: Json = None,
) -> None:
    """Install the wheels into a fresh environment, and check that the model finds the same entities there, offline."""
    from spacy_bert_ner.packaging.verification import SAMPLES, entities_of, find_model_wheel, verify_wheels

    nlp = load_pipeline(str(model))
    texts = [example.reference.text for example in read_examples(corpus, nlp)][:TEXTS] if corpus else list(SAMPLES)
    expected = entities_of(nlp, texts)
    with explained(f"{wheels} does not work"):
        wheel = find_model_wheel(wheels)
        verify_wheels(wheels, wheel, texts, expected)
    for text, entities in zip(texts, expected, strict=True):
        shown = text if len(text) <= SHOWN else text[:SHOWN] + "…"
        typer.echo(f"{shown}\n    {', '.join(f'{name} ({label})' for name, _, label in entities) or 'no entities'}")
    write_figures(figures, {"texts": texts, "entities": expected})
    msg.good(f"{wheel} works, installed and offline")
