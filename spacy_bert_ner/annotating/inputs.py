"""What a user names as input: files, folders, globs and standard input, in an order that stays the same."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spacy_bert_ner.storage.sources import list_names

from .annotation_error import AnnotationError

STDIN = "-"
# By suffix, what reads it.
KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
    ".spacy": "spacy",
}
STDIN_KINDS = ("jsonl", "csv", "tsv", "text")
EXPECTED = f"expected a file that ends in {', '.join(KINDS)}, a folder or a glob of them, or - for standard input"


@dataclass(frozen=True)
class Source:
    """A file of the input.

    name (str): Its path as the user typed it, or "-".
    kind (str): What reads it: a value of KINDS.
    size (int): Its bytes; 0 for standard input.
    """

    name: str
    kind: str
    size: int

    @property
    def path(self) -> Path:
        return Path(self.name)


@dataclass(frozen=True)
class Found:
    """What was found of the input.

    sources (tuple[Source, ...]): The files, in order.
    ignored (tuple[str, ...]): Files in named folders that are of no kind that can be read.
    """

    sources: tuple[Source, ...]
    ignored: tuple[str, ...]


def find_sources(inputs: Sequence[str], stdin_format: str, output: Sequence[Path]) -> Found:
    """Find the files of the input.

    inputs (Sequence[str]): What the user typed.
    stdin_format (str): What standard input holds.
    output (Sequence[Path]): What the run writes, which is no input even where it lies in a folder that is.
    RETURNS (Found): The files: in the order of `inputs`, those of a folder or glob in the order of their names.
    RAISES: AnnotationError where something is not there, is of an unknown kind or is named twice.
    """
    sources: list[Source] = []
    ignored: list[str] = []
    for name in inputs:
        if name == STDIN:
            sources.append(_stdin(stdin_format))
        elif Path(name).is_file():
            sources.append(_source(Path(name)))
        else:
            paths = _list_files(name, output)
            known = [path for path in paths if path.suffix.lower() in KINDS]
            ignored += [path.as_posix() for path in paths if path.suffix.lower() not in KINDS]
            if not known:
                found = list_names([path.name for path in paths])
                raise AnnotationError(f"{name}: found {found}, {EXPECTED}")
            sources += map(_source, known)
    _check_twice(sources)
    return Found(tuple(sources), tuple(ignored))


def _list_files(name: str, output: Sequence[Path]) -> list[Path]:
    """List a folder's or glob's files, without hidden ones and what the run itself writes."""
    if Path(name).is_dir():
        root, paths = Path(name), list(Path(name).rglob("*"))
    elif glob.has_magic(name):
        root, paths = Path(), [Path(found) for found in glob.glob(name, recursive=True)]  # noqa: PTH207
    else:
        raise AnnotationError(f"{name}: no such file or folder, {EXPECTED}")
    own = [path.resolve() for path in output]

    def is_input(path: Path) -> bool:
        hidden = any(part.startswith(".") and part != ".." for part in path.relative_to(root).parts)
        resolved = path.resolve()
        return path.is_file() and not hidden and not any(resolved.is_relative_to(each) for each in own)

    return sorted(filter(is_input, paths), key=Path.as_posix)


def _source(path: Path) -> Source:
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise AnnotationError(f"{path}: a file of another kind, {EXPECTED}")
    return Source(path.as_posix(), kind, path.stat().st_size)


def _stdin(kind: str) -> Source:
    if kind not in STDIN_KINDS:
        raise AnnotationError(
            f"--stdin-format {kind}: expected one of {', '.join(STDIN_KINDS)}; the others can be read from files only"
        )
    return Source(STDIN, kind, 0)


def _check_twice(sources: Sequence[Source]) -> None:
    seen: dict[Path | str, str] = {}
    for source in sources:
        key = source.name if source.name == STDIN else source.path.resolve()
        if key in seen:
            raise AnnotationError(f"{source.name}: named twice (as {seen[key]}), expected every file once")
        seen[key] = source.name
