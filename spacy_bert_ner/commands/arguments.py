"""Checks of the files that commands read and write; an error says in one line what to type instead."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .wrapping import CommandError, explained

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.training import Example


def set_up(code: Path | None, gpu_id: int) -> None:
    """Import a user's registered functions, and choose the device.

    code (Path | None): Python file.
    gpu_id (int): GPU, or -1 for the CPU.
    """
    from spacy.cli._util import import_code, setup_gpu

    import_code(code)
    setup_gpu(gpu_id, silent=True)


def find_pipeline(name: str) -> Path:
    """RETURNS (Path): The folder of a saved pipeline. RAISES: CommandError where a folder or package is none."""
    from spacy_bert_ner.storage.sources import pipeline_folder

    folder = pipeline_folder(name)
    if folder is None:
        what = "a folder without a pipeline" if Path(name).is_dir() else "neither a folder nor a pipeline's package"
        raise CommandError(f"{name} is {what}", "Expected a trained pipeline, such as training/model-best")
    return folder


def check_corpus(path: Path | None) -> None:
    """End the command where a corpus is no .spacy file that can be read, nor a folder with one.

    path (Path | None): A file or folder that is there; None where none was asked for.
    RAISES: CommandError.
    """
    from spacy.tokens import DocBin

    if path is None:
        return
    if not path.is_dir() and path.suffix != ".spacy":
        converted = path.with_suffix(".spacy")
        raise CommandError(
            f"{path} is no .spacy file", f"Convert it first: python -m spacy bert-ner convert {path} {converted}"
        )
    files = sorted(path.rglob("*.spacy")) if path.is_dir() else [path]
    if not files:
        raise CommandError(f"{path} holds no .spacy file", f"Try: python -m spacy bert-ner convert {path} corpus")
    for file in files:
        # The reader's error says what is wrong, and not with which file.
        with explained(f"{file} cannot be read"):
            try:
                DocBin().from_disk(file)
            except (KeyError, TypeError, AttributeError) as error:
                raise ValueError("It holds something else than spaCy's documents") from error


def check_corpora(config: Path, overrides: dict[str, Any]) -> None:
    """End the command where a corpus that a config names is there and cannot be read.

    config (Path): The config.
    overrides (dict[str, Any]): Its settings, by dotted path.
    RAISES: CommandError.
    """
    from spacy.util import load_config

    with explained(f"{config} cannot be read as a config"):
        readers = load_config(config, overrides=overrides, interpolate=True).get("corpora", {})
    for reader in readers.values():
        if isinstance(reader, dict) and reader.get("@readers") == "spacy.Corpus.v1" and reader.get("path"):
            place = Path(reader["path"])
            if place.exists():
                check_corpus(place)


def read_examples(path: Path, nlp: "Language") -> "list[Example]":
    """Read a corpus.

    path (Path): A .spacy file, or a folder with some.
    nlp (Language): The pipeline that is to predict on it.
    RETURNS (list[Example]): Its documents, and as the pipeline gets them.
    RAISES: CommandError where it cannot be read.
    """
    from spacy.training import Corpus

    check_corpus(path)
    with explained(f"{path} cannot be read"):
        return list(Corpus(path)(nlp))


def load_pipeline(name: str) -> "Language":
    """Load a pipeline, or end the command.

    name (str): Folder or package name.
    RETURNS (Language): The pipeline.
    RAISES: CommandError.
    """
    import spacy

    folder = Path(name)
    if (folder / "config.json").is_file() and not (folder / "meta.json").is_file():
        raise CommandError(
            f"{name} is a pretrained encoder, expected a trained pipeline",
            f"To train one from it: python -m spacy bert-ner init-config config.cfg --encoder {name}",
        )
    with explained(f"The pipeline {name} cannot be loaded"):
        return spacy.load(name)


def is_pipeline(folder: Path) -> bool:
    """RETURNS (bool): Whether a folder holds a saved pipeline."""
    return (folder / "meta.json").is_file() and (folder / "config.cfg").is_file()


def check_target(folder: Path, force: bool) -> None:
    """End the command where the output folder exists already, and must not be replaced or holds no pipeline.

    folder (Path): The output folder.
    force (bool): Whether to replace a pipeline there.
    RAISES: CommandError.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir() or not is_pipeline(folder):
        raise CommandError(f"{folder} is there already, and holds no pipeline", "Name another folder")
    if not force:
        raise CommandError(f"{folder} is there already", "Add --force to replace it")


def write_pipeline(nlp: "Language", folder: Path) -> None:
    """Write a pipeline atomically, replacing one that is there."""
    from spacy_bert_ner.storage.files import replacing_folder

    with replacing_folder(folder) as temporary:
        nlp.to_disk(temporary)


@contextmanager
def reading_json(path: Path, what: str) -> Iterator[Any]:
    """Read a JSON file, and end the command where its content is not as expected, now or while the block uses it.

    path (Path): The file.
    what (str): The expected content, for the error.
    YIELDS (Any): Its content.
    RAISES: CommandError.
    """
    with explained(f"{path} is not {what}"):
        try:
            yield json.loads(path.read_text(encoding="utf8"))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


def write_figures(path: Path | None, figures: Any) -> None:
    """Write figures as JSON where a file is named for them."""
    if path:
        write_text(path, json.dumps(figures, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically; its folder is created where it is missing."""
    from spacy_bert_ner.storage.files import write_atomically

    write_atomically(path, text.encode("utf8"))


def parse_workers(workers: str) -> int | Literal["auto"]:
    """Parse --workers.

    workers (str): The value.
    RETURNS (int | Literal["auto"]): The number of processes.
    RAISES: CommandError where it is none.
    """
    if workers == "auto":
        return "auto"
    if not workers.isdecimal() or int(workers) == 0:
        raise CommandError(f"--workers {workers}: expected a number above 0, or auto")
    return int(workers)
