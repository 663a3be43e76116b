"""The pretrained encoder that `--encoder` names."""

from pathlib import Path

import typer
from wasabi import msg


def check_encoder(encoder: str) -> None:
    """End the command where a folder, or an installed package, is no pretrained encoder.

    encoder (str): Folder or Hub id.
    """
    from spacy.util import is_package

    folder = Path(encoder)
    if is_package(encoder) or ((folder / "meta.json").is_file() and (folder / "config.cfg").is_file()):
        msg.fail(
            f"{encoder} is a spaCy pipeline, expected a pretrained encoder",
            f"To train the pipeline further: --source {encoder}",
            exits=1,
        )
    if (folder.exists() or folder.is_absolute() or encoder.startswith(".")) and not (folder / "config.json").is_file():
        missing = f"{encoder} holds no config.json" if folder.is_dir() else f"There is no folder {encoder}"
        msg.fail(
            missing,
            "Expected a folder with config.json, model.safetensors and tokenizer.json, or a Hub id such as "
            "bert-base-uncased",
            exits=1,
        )


def width_of(encoder: str, *, needed: bool) -> int | None:
    """Look up how wide an encoder's vectors are.

    encoder (str): Folder or Hub id.
    needed (bool): Whether to end the command where it is not known; otherwise there is a warning.
    RETURNS (int | None): The width; None where it is not known.
    """
    from spacy_bert_ner.training.recipes import encoder_width

    check_encoder(encoder)
    try:
        return encoder_width(encoder)
    except (OSError, ValueError) as error:
        if needed:
            msg.fail(f"The width of {encoder} is not known, which listeners need", str(error), exits=1)
        # Standard output may be the config.
        typer.echo(f"! The size of {encoder} is not known, so that it is taken for a base-size one: {error}", err=True)
        return None
