"""The splits of a corpus: finding their files, and reading them."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeVar

from spacy_bert_ner.storage.sources import SourceKind, list_names, source_kind

from .columns.reading import read_columns
from .documents import CorpusError, Splits
from .hub import load_hub
from .notes import Notes
from .reading_options import ReadingOptions
from .rows import dataset_rows, parquet_rows, read_rows

# The usual names of each split.
SPLITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "train": ("train", "training"),
        "dev": ("dev", "devel", "development", "valid", "validation", "val", "testa"),
        "test": ("test", "testb"),
    }
)
SAMPLE = "sample"

_BY_NAME = {name: split for split, names in SPLITS.items() for name in names}
_COLUMN_SUFFIXES = (
    *("", ".txt", ".conll", ".conllu", ".conll03", ".conll2003", ".tsv", ".col", ".data"),
    *(".iob", ".iob1", ".iob2", ".bio", ".bio2", ".bioes", ".iobes", ".biluo", ".bilou", ".csv"),
)
# Read by `convert` alone.
EXPORT_SUFFIXES = (".json", ".jsonl", ".ndjson", ".jsonlines")
# eng.testa, train.txt, conll2003_dev.iob, wnut17train.conll, emerging.test.annotated, train-00000-of-00002.parquet
_FILE_NAME = re.compile(
    rf"(?:.*[^a-z])?(?P<split>{'|'.join(_BY_NAME)})(?:-(?P<shard>\d+)-of-(?P<shards>\d+))?"
    r"(?:[._-](?:annotated|labell?ed|gold|tagged|ner|iob2?|bio|conll))?(?P<suffix>\.[a-z0-9]+)?",
    re.ASCII | re.IGNORECASE,
)
_EXPECTED = (
    "expected column files (train.txt, valid.txt and test.txt, or eng.train, eng.testa and eng.testb, or other usual "
    "names) or parquet files (train.parquet, validation.parquet and test.parquet, or their shards); `convert` takes "
    "other names as --train FILE, --dev FILE, --test FILE"
)

_T = TypeVar("_T")


@dataclass(frozen=True)
class SplitFiles:
    """The files of a corpus.

    paths (Mapping[str, tuple[Path, ...]]): The files of the existing splits of train, dev and test: one each, or all
        shards in order.
    """

    form: Literal["columns", "parquet"]
    paths: Mapping[str, tuple[Path, ...]]


def read_corpus(
    source: str | Path, sample: Path | None = None, options: ReadingOptions | None = None, notes: Notes | None = None
) -> Splits:
    """Read a corpus from a folder or from the Hub.

    source (str | Path): A folder of CoNLL column files or of parquet splits, "sample", or a data set's id on the Hub.
    sample (Path | None): The folder that "sample" stands for.
    notes (Notes | None): Receives assumptions.
    RETURNS (Splits): The documents of "train", "dev" and "test", in this order; no split is empty.
    RAISES: CorpusError that says what was found and what was expected.
    """
    kind = corpus_kind(str(source), sample)
    if kind is SourceKind.HUB:
        splits = name_splits(load_hub(str(source)).splits, str(source))
        return {
            split: read_rows([dataset_rows(rows, f"{source} {name}")], options, notes)
            for split, (name, rows) in splits.items()
        }
    folder = sample if kind is SourceKind.BUILTIN and sample else Path(source)
    files = find_splits(folder)
    if files.form == "columns":
        return {split: read_columns(paths[0], options, notes) for split, paths in files.paths.items()}
    return {
        split: read_rows([parquet_rows(path) for path in paths], options, notes) for split, paths in files.paths.items()
    }


def corpus_kind(source: str, sample: Path | None) -> SourceKind:
    """RETURNS (SourceKind): The kind of a corpus's source. RAISES: CorpusError where it has none."""
    kind = source_kind(source, [SAMPLE] if sample else [])
    if kind is None:
        found = "a file" if Path(source).is_file() else "no folder that exists, and not the form of a Hub id"
        raise CorpusError(
            f"{source}: {found}, expected a folder of CoNLL column files or parquet splits, '{SAMPLE}', or the id of a "
            "data set on the Hub such as tomaarsen/conll2003"
        )
    return kind


def name_splits(found: Mapping[str, _T], source: str) -> dict[str, tuple[str, _T]]:
    """Map a data set's splits to train, dev and test. RETURNS (dict[str, tuple[str, _T]]): Its own name and the split.

    RAISES: CorpusError where one of the three is missing or ambiguous.
    """
    named: dict[str, tuple[str, _T]] = {}
    for split, names in SPLITS.items():
        own = [name for name in found if name in names]
        if len(own) != 1:
            problem = f"splits {' and '.join(own)}" if own else f"no {split} split among {list_names(found)}"
            raise CorpusError(f"{source}: {problem}, expected one of {', '.join(names)}")
        named[split] = own[0], found[own[0]]
    return named


def split_of(name: str) -> str | None:
    """RETURNS (str | None): The split that a file's name stands for: train, dev, test, or None."""
    match = _FILE_NAME.fullmatch(name)
    return _BY_NAME[match["split"].lower()] if match else None


def find_splits(
    folder: Path,
    needed: Collection[str] = tuple(SPLITS),
    said: Mapping[str, tuple[Path, ...]] = MappingProxyType({}),
    suffixes: tuple[str, ...] = (),
) -> SplitFiles:
    """Find the files of the three splits in a folder.

    folder (Path): Subfolders are not searched.
    needed (Collection[str]): The splits that must exist; at least one of the three must.
    said (Mapping[str, tuple[Path, ...]]): Files of splits that the user names.
    suffixes (tuple[str, ...]): Further suffixes of files.
    RAISES: CorpusError where a split has no file, or several that could be it.
    """
    names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    taken = {path.name for paths in said.values() for path in paths}
    matches = [m for name in names if (folder / name).is_file() and (m := _FILE_NAME.fullmatch(name))]
    matches = [m for m in matches if m[0] not in taken and _BY_NAME[m["split"].lower()] not in said]
    columns = [m for m in matches if not m["shard"] and (m["suffix"] or "").lower() in (*_COLUMN_SUFFIXES, *suffixes)]
    parquet = [m for m in matches if (m["suffix"] or "").lower() == ".parquet"]
    if columns and parquet:
        found = " and ".join(list_names([match[0] for match in form]) for form in (columns, parquet))
        raise CorpusError(f"{folder}: column files and parquet files ({found}), expected one form: move the other away")
    by_split: dict[str, list[re.Match[str]]] = defaultdict(list)
    for match in columns or parquet:
        by_split[_BY_NAME[match["split"].lower()]].append(match)
    missing = [split for split in needed if split not in by_split and split not in said]
    if missing or not (by_split or said):
        listed = " and no ".join(missing or SPLITS)
        raise CorpusError(f"{folder}: no {listed} file among {list_names(names)}, {_EXPECTED}")
    found_paths = {
        split: tuple(folder / name for name in _in_order(folder, split, by_split[split])) for split in by_split
    }
    paths = {split: (said.get(split) or found_paths[split]) for split in SPLITS if split in said or split in by_split}
    return SplitFiles("columns" if columns or not parquet else "parquet", paths)


def _in_order(folder: Path, split: str, matches: list[re.Match[str]]) -> list[str]:
    """Sort a split's shards. RAISES: CorpusError where they are not one complete set."""
    names = [match[0] for match in matches]
    if len(matches) == 1 and not matches[0]["shard"]:
        return names
    stems = {match[0][: match.start("shard")] if match["shard"] else match[0] for match in matches}
    if len(stems) > 1 or len({match["shards"] for match in matches}) > 1:
        raise CorpusError(
            f"{folder}: {list_names(names)} could each be the {split} split, expected one: move the others away, or "
            f"name it with --{split} FILE"
        )
    matches = sorted(matches, key=_shard)
    if [_shard(match) for match in matches] != list(range(int(matches[0]["shards"]))):
        raise CorpusError(
            f"{folder}: {list_names(names)}, expected {int(matches[0]['shards'])} shards of the {split} split"
        )
    return [match[0] for match in matches]


def _shard(match: re.Match[str]) -> int:
    return int(match["shard"])
