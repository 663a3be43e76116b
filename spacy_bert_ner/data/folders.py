"""Reading of a corpus that the user names: a file, a folder of splits, or a folder of documents."""

from collections.abc import Mapping
from pathlib import Path

from spacy_bert_ner.storage.sources import list_names

from .brat import partner, read_pairs
from .columns.webanno import is_webanno
from .documents import CorpusError
from .formats import Contents, read_file
from .notes import Notes
from .reading_options import ReadingOptions
from .rows import parquet_rows, read_rows
from .splits import EXPORT_SUFFIXES, SPLITS, find_splits, split_of

# The key of a corpus without splits.
WHOLE = ""


def read_parts(source: Path | None, said: Mapping[str, Path], options: ReadingOptions) -> dict[str, Contents]:
    """Read the splits of a corpus, or a corpus without splits.

    source (Path | None): A file; a folder of files with usual names of splits, of folders with such names, or of
        documents (brat's pairs, WebAnno's TSV); None where `said` names all files.
    said (Mapping[str, Path]): The user's files by split, as paths or as names within the folder.
    RETURNS (dict[str, Contents]): The splits in the order train, dev, test; or WHOLE.
    RAISES: CorpusError where nothing can be converted, or splits have their tags in different columns.
    """
    if source is not None and source.is_file() and not said:
        return {WHOLE: read_file(source, options)}
    if source is not None and not said:
        folders = _split_folders(source)
        if folders:
            return {split: _read_documents(folder, _documents(folder), options) for split, folder in folders.items()}
        if found := _documents(source):
            return {WHOLE: _read_documents(source, found, options)}
    if source is not None and source.is_file():
        raise CorpusError(f"{source}: a file, expected the folder of --train, --dev and --test, or no more than these")
    paths: Mapping[str, tuple[Path, ...]] = {split: (_resolve(source, path),) for split, path in said.items()}
    if source is not None:
        paths = find_splits(source, needed=(), said=paths, suffixes=EXPORT_SUFFIXES).paths
    parts = {split: _read_split(paths[split], options) for split in SPLITS if split in paths}
    _check_columns(parts)
    return parts


def _resolve(source: Path | None, path: Path) -> Path:
    for found in (path, *([source / path] if source else [])):
        if found.is_file():
            return found
    raise CorpusError(f"{path}: no such file" + (f", in {source} neither" if source else ""))


def _read_split(paths: tuple[Path, ...], options: ReadingOptions) -> Contents:
    if len(paths) == 1:
        return read_file(paths[0], options)
    notes = Notes()
    return Contents(read_rows([parquet_rows(path) for path in paths], options, notes), notes=notes)


def _check_columns(parts: Mapping[str, Contents]) -> None:
    """RAISES: CorpusError where the splits' tags are in different columns."""
    said = {split: contents.columns for split, contents in parts.items() if contents.columns}
    if len(set(said.values())) > 1:
        listed = "; ".join(f"{split}: {columns}" for split, columns in said.items())
        raise CorpusError(f"splits differ ({listed}): say which columns they are with --token-column and --tag-column")


def _split_folders(source: Path) -> dict[str, Path]:
    """Find folders of documents with names of splits."""
    found: dict[str, Path] = {}
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        split = split_of(folder.name)
        if split is None or not _documents(folder):
            continue
        if split in found:
            raise CorpusError(f"{source}: {found[split].name} and {folder.name} could each be {split}, expected one")
        found[split] = folder
    return {split: found[split] for split in SPLITS if split in found}


def _documents(folder: Path) -> list[Path]:
    """Find the documents of a folder and its subfolders: brat's pairs, or WebAnno's TSV."""
    annotated = sorted(path for path in folder.rglob("*.ann") if path.is_file())
    if annotated:
        return annotated
    return [path for path in sorted(folder.rglob("*.tsv")) if path.is_file() and _is_webanno(path)]


def _is_webanno(path: Path) -> bool:
    with path.open("rb") as file:
        return is_webanno(file.read(100).decode("utf-8", "replace"))


def _read_documents(folder: Path, paths: list[Path], options: ReadingOptions | None = None) -> Contents:
    """Read documents of one or two files each."""
    whole = Contents()
    whole.texts.extend(read_pairs([path for path in paths if path.suffix == ".ann"], whole.notes))
    for path in paths if not whole.texts else ():
        contents = read_file(path, options)
        whole.documents.extend(contents.documents)
        whole.notes.add(contents.notes)
    if whole.texts:
        alone = [path.name for path in folder.rglob("*.txt") if partner(path) is None]
        if alone:
            whole.notes.say(f"{folder}: {len(alone)} texts without annotation were left out: {list_names(alone)}")
    return whole
