"""The input's files: what the user names as files, folders, globs or standard input, in a stable order."""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spacy_bert_ner.storage.sources import list_names

from .annotation_error import AnnotationError

STDIN = "-"
# The reader's name by suffix.
FILE_KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
    ".spacy": "spacy",
}
STDIN_KINDS = ("jsonl", "csv", "tsv", "text")
EXPECTED_INPUTS = (
    f"expected a file that ends in {', '.join(FILE_KINDS)}, a folder or a glob of them, or - for standard input"
)


@dataclass(frozen=True)
class InputFile:
    """A file of the input.

    name (str): Its path as the user typed it, or "-".
    kind (str): The reader's name: a value of FILE_KINDS.
    size (int): In bytes; 0 for standard input.
    """

    name: str
    kind: str
    size: int

    @property
    def path(self) -> Path:
        return Path(self.name)


@dataclass(frozen=True)
class FoundInputs:
    """The input's files.

    sources (tuple[InputFile, ...]): In order.
    ignored (tuple[str, ...]): Files in named folders whose kind no reader knows.
    """

    sources: tuple[InputFile, ...]
    ignored: tuple[str, ...]


def find_sources(inputs: Sequence[str], stdin_format: str, output: Sequence[Path]) -> FoundInputs:
    """Find the files of the input.

    inputs (Sequence[str]): As the user typed them.
    output (Sequence[Path]): What the run writes: never input, even inside a named folder.
    RETURNS (FoundInputs): In the order of `inputs`, those of a folder or glob sorted by name.
    RAISES: AnnotationError where a file does not exist, is of an unknown kind or is named twice.
    """
    sources: list[InputFile] = []
    ignored: list[str] = []
    for name in inputs:
        if name == STDIN:
            sources.append(_stdin(stdin_format))
        elif Path(name).is_file():
            sources.append(_source(Path(name)))
        else:
            paths = _list_files(name, output)
            known = [path for path in paths if path.suffix.lower() in FILE_KINDS]
            ignored += [path.as_posix() for path in paths if path.suffix.lower() not in FILE_KINDS]
            if not known:
                found = list_names([path.name for path in paths])
                raise AnnotationError(f"{name}: found {found}, {EXPECTED_INPUTS}")
            sources += map(_source, known)
    _check_twice(sources)
    return FoundInputs(tuple(sources), tuple(ignored))


def _list_files(name: str, output: Sequence[Path]) -> list[Path]:
    """List a folder's or glob's files, without hidden ones and those that the run writes."""
    if Path(name).is_dir():
        root, paths = Path(name), list(Path(name).rglob("*"))
    elif glob.has_magic(name):
        root, paths = Path(), [Path(found) for found in glob.glob(name, recursive=True)]  # noqa: PTH207
    else:
        raise AnnotationError(f"{name}: no such file or folder, {EXPECTED_INPUTS}")
    own = [path.resolve() for path in output]

    def is_input(path: Path) -> bool:
        hidden = any(part.startswith(".") and part != ".." for part in path.relative_to(root).parts)
        resolved = path.resolve()
        return path.is_file() and not hidden and not any(resolved.is_relative_to(each) for each in own)

    return sorted(filter(is_input, paths), key=Path.as_posix)


def _source(path: Path) -> InputFile:
    kind = FILE_KINDS.get(path.suffix.lower())
    if kind is None:
        raise AnnotationError(f"{path}: a file of another kind, {EXPECTED_INPUTS}")
    return InputFile(path.as_posix(), kind, path.stat().st_size)


def _stdin(kind: str) -> InputFile:
    if kind not in STDIN_KINDS:
        raise AnnotationError(
            f"--stdin-format {kind}: expected one of {', '.join(STDIN_KINDS)}; the others can be read from files only"
        )
    return InputFile(STDIN, kind, 0)


def _check_twice(sources: Sequence[InputFile]) -> None:
    seen: dict[Path | str, str] = {}
    for source in sources:
        key = source.name if source.name == STDIN else source.path.resolve()
        if key in seen:
            raise AnnotationError(f"{source.name}: named twice (as {seen[key]}), expected every file once")
        seen[key] = source.name
