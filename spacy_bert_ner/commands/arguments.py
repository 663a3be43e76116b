"""What commands are given to read, refused in a line that says what to type instead."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wasabi import msg

if TYPE_CHECKING:
    from spacy.language import Language

# What reading a file or a pipeline that is not what it should be raises: spaCy's files are compressed.
UNREADABLE = (OSError, ValueError, zlib.error)


def check_corpus(path: Path) -> None:
    """End the command where a corpus is no .spacy file, nor a folder with one.

    path (Path): A file or folder that is there.
    """
    if path.is_dir():
        if not any(path.rglob("*.spacy")):
            msg.fail(f"{path} holds no .spacy file", f"Try: python -m spacy bert-ner convert {path} corpus", exits=1)
    elif path.suffix != ".spacy":
        converted = path.with_suffix(".spacy")
        msg.fail(
            f"{path} is no .spacy file",
            f"Convert it first: python -m spacy bert-ner convert {path} {converted}",
            exits=1,
        )


def load_pipeline(name: str) -> "Language":
    """Load a pipeline, or end the command.

    name (str): Folder or package name.
    RETURNS (Language): The pipeline.
    """
    import spacy

    folder = Path(name)
    if (folder / "config.json").is_file() and not (folder / "meta.json").is_file():
        msg.fail(
            f"{name} is a pretrained encoder, expected a trained pipeline",
            f"To train one from it: python -m spacy bert-ner init-config config.cfg --encoder {name}",
            exits=1,
        )
    with explained(f"The pipeline {name} cannot be loaded"):
        return spacy.load(name)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """End the command with the reason, not with a traceback, where something cannot be read.

    what (str): What then failed.
    """
    try:
        yield
    except UNREADABLE as error:
        msg.fail(what, str(error), exits=1)


def parse_workers(workers: str) -> int | Literal["auto"]:
    """RETURNS (int | Literal["auto"]): The number of processes; what is none ends the command.

    workers (str): The value of --workers.
    """
    if workers == "auto":
        return "auto"
    if not workers.isdecimal() or int(workers) == 0:
        msg.fail(f"--workers {workers}: expected a number above 0, or auto", exits=1)
    return int(workers)
