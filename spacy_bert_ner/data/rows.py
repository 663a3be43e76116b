"""The Hub's row format: a row per sentence, with a list of tokens and a list of tags.

    document_id  tokens                          ner_tags
    1            ["EU", "rejects", "German"]     [3, 0, 7]     ClassLabel: the features hold the names
    1            ["Peter", "Blackburn"]          [1, 2]        or the names themselves, as strings

The tokens may be called words, and the tags, ner or labels. Source: `tomaarsen/conll2003` and the many data sets in the
same form, as the `datasets` library writes them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .documents import CorpusError, Document
from .notes import Notes
from .reading_options import ReadingOptions
from .sentences import DOCSTART, TaggedSentence
from .spelling import are_bare, unknown_tag
from .tagged import make_documents

# Usual names of columns of tokens and of tags, the most specific first.
TOKENS = ("tokens", "words")
TAGS = ("ner_tags", "tags", "ner", "labels")
DOCUMENT_IDS = ("document_id", "doc_id")
BATCH_SIZE = 1000


@dataclass(frozen=True)
class Rows:
    """A table of rows from any source.

    name (str): For messages.
    features (Mapping[str, Any]): `datasets` feature of each column.
    count (int): Number of rows.
    batches (Callable[[list[str]], Iterator[Mapping[str, list[Any]]]]): Reads columns, some rows at a time.
    """

    name: str
    features: Mapping[str, Any]
    count: int
    batches: Callable[[list[str]], Iterator[Mapping[str, list[Any]]]]


def parquet_rows(path: Path) -> Rows:
    """Open a parquet file; names of tags come from its metadata, and nothing is written to a cache.

    RAISES: CorpusError where it is not a parquet file, or `datasets` does not know its features.
    """
    import pyarrow.parquet
    from datasets import Features
    from pyarrow.lib import ArrowException

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            schema, count = file.schema_arrow, file.metadata.num_rows
    except ArrowException as error:
        raise CorpusError(f"{path}: not a parquet file ({_first_line(error)}), expected one") from error
    try:
        features = Features.from_arrow_schema(schema)
    except (ValueError, TypeError) as error:
        raise CorpusError(
            f"{path}: features that the installed `datasets` cannot read ({_first_line(error)}), expected those of a "
            "data set of its own version or an older one: upgrade `datasets`"
        ) from error

    def batches(columns: list[str]) -> Iterator[Mapping[str, list[Any]]]:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_SIZE, columns=columns):
                yield batch.to_pydict()

    return Rows(str(path), features, count, batches)


def dataset_rows(dataset: Any, name: str) -> Rows:
    """Wrap a split that `datasets` has loaded.

    dataset (datasets.Dataset): The split.
    name (str): For messages.
    """

    def batches(columns: list[str]) -> Iterator[Mapping[str, list[Any]]]:
        for batch in dataset.select_columns(columns).with_format("arrow").iter(batch_size=BATCH_SIZE):
            yield batch.to_pydict()

    return Rows(name, dataset.features, dataset.num_rows, batches)


def read_rows(
    shards: Sequence[Rows], options: ReadingOptions | None = None, notes: Notes | None = None
) -> list[Document]:
    """Read the shards of a split, in order.

    shards (Sequence[Rows]): At least one.
    notes (Notes | None): Receives assumptions.
    RETURNS (list[Document]): A document per run of rows with the same document id; where there is no such column, one
        per row of a single DOCSTART token; where there is neither, one per `options.n_sents` rows.
    RAISES: CorpusError with file and row (counted from 0, as in `dataset[row]`) of the first error.
    """
    options, notes = options or ReadingOptions(), notes or Notes()
    name = shards[0].name
    sentences: list[TaggedSentence] = []
    documents = 0
    with tqdm(total=sum(rows.count for rows in shards), desc=name, unit="row", disable=None, leave=False) as bar:
        for rows in shards:
            columns = _choose(rows, options, notes)
            # The features name all tags, so that nothing is inferred from those that occur.
            if are_bare(getattr(_item(rows.features[columns[1]]), "names", None) or ()):
                options = replace(options, format="io")
            for sentence in _read_table(rows, *columns):
                bar.update()
                if sentence.tokens == (DOCSTART,):
                    documents += 1
                elif sentence.tokens:
                    own_id = sentence.document is not None
                    sentences.append(sentence if own_id else replace(sentence, document=str(documents)))
    if not sentences:
        raise CorpusError(f"{name}: no sentences, expected rows with tokens")
    if not documents and not any(_id_column(rows) for rows in shards):
        sentences = [replace(sentence, document=None) for sentence in sentences]
    return make_documents(sentences, name, options, notes)


def _read_table(rows: Rows, token_column: str, tag_column: str) -> Iterator[TaggedSentence]:
    """Yield a table's rows, checked, as sentences, including rows without tokens and DOCSTART rows."""
    names = getattr(_item(rows.features[tag_column]), "names", None)
    id_column = _id_column(rows)
    columns = [token_column, tag_column, *([id_column] if id_column else [])]
    at = 0
    for batch in rows.batches(columns):
        ids = batch[id_column] if id_column else [""] * len(batch[token_column])
        for tokens, tags, document in zip(batch[token_column], batch[tag_column], ids, strict=True):
            where = f"{rows.name}: row {at}"
            for column, found in ((token_column, tokens), (tag_column, tags)):
                if found is None:
                    raise CorpusError(f"{where}: no {column}, expected a list")
            if len(tokens) != len(tags):
                raise CorpusError(
                    f"{where}: {len(tokens)} {token_column} and {len(tags)} {tag_column}, expected as many of both"
                )
            if document is None:
                raise CorpusError(f"{where}: no {id_column}, expected one in every row, or no such column")
            _check_tokens(where, tokens)
            # A DOCSTART row's tag is not read.
            read = [] if tokens == [DOCSTART] else [_read_tag(where, i, tag, names) for i, tag in enumerate(tags)]
            own_id = str(document) if id_column else None
            yield TaggedSentence(tuple(tokens), tuple(read), own_id, rows.name, at)
            at += 1


def _check_tokens(where: str, tokens: list[Any]) -> None:
    for i, token in enumerate(tokens):
        if not token:
            raise CorpusError(f"{where}, token {i}: an empty token, expected text")


def _read_tag(where: str, token: int, tag: Any, names: Sequence[str] | None) -> str:
    if names is not None:
        if tag is None or not 0 <= tag < len(names):
            raise CorpusError(f"{where}, token {token}: tag number {tag}, expected one from 0 to {len(names) - 1}")
        return names[tag]
    if tag is None:
        raise unknown_tag(f"{where}, token {token}", tag)
    return str(tag)


def _choose(rows: Rows, options: ReadingOptions, notes: Notes) -> tuple[str, str]:
    """Choose a table's columns of tokens and tags. RETURNS (tuple[str, str]): Their names.

    RAISES: CorpusError where there are none, or their features have other types.
    """
    tags = _find(rows, options.tag_column, TAGS, "--tag-column", "tags")
    tokens = _find(rows, options.token_column, TOKENS, "--token-column", "tokens")
    if not options.token_column and set(TOKENS) <= set(rows.features):
        tokens = _fitting(rows, tags)
    if not _is_string(_item(rows.features[tokens])):
        raise CorpusError(f"{rows.name}: column {tokens} is {rows.features[tokens]}, expected lists of strings")
    item = _item(rows.features[tags])
    if getattr(item, "names", None) is None and not _is_string(item):
        raise CorpusError(
            f"{rows.name}: column {tags} is {rows.features[tags]}, expected lists of strings, or of ClassLabel, which "
            f"name the numbers: give the column a ClassLabel feature with `datasets`, or write the tags as strings"
        )
    others = [name for name in (*TOKENS, *TAGS) if name in rows.features and name not in (tokens, tags)]
    if others or (tokens, tags) != (TOKENS[0], TAGS[0]):
        beside = f", not {' and '.join(others)}" if others else ""
        notes.say(f"{rows.name}: tokens in the column {tokens}, tags in {tags}{beside}")
    return tokens, tags


def _find(rows: Rows, said: str, names: tuple[str, ...], option: str, what: str) -> str:
    """Find a column by the user's choice, or by its usual names, preferring lists of text."""
    listed = ", ".join(rows.features)
    if said:
        if said not in rows.features:
            raise CorpusError(f"{rows.name}: {option} {said}, expected one of its columns: {listed}")
        return said
    found = [name for name in names if name in rows.features]
    if not found:
        raise CorpusError(
            f"{rows.name}: no column of {what} ({', '.join(names)}) among {listed}: say which it is with {option} NAME"
        )
    readable = [name for name in found if (item := _item(rows.features[name])) and _is_readable(item)]
    return (readable or found)[0]


def _is_readable(item: Any) -> bool:
    return _is_string(item) or getattr(item, "names", None) is not None


def _fitting(rows: Rows, tags: str) -> str:
    """Choose between columns of tokens and of words: the one with as many items as there are tags in every row."""
    fits = dict.fromkeys(TOKENS, True)
    same = True
    for batch in islice(rows.batches([*TOKENS, tags]), 10):
        for *both, found in zip(*(batch[name] for name in (*TOKENS, tags)), strict=True):
            same &= both[0] == both[1]
            for name, tokens in zip(TOKENS, both, strict=True):
                fits[name] &= tokens is not None and found is not None and len(tokens) == len(found)
    fitting = [name for name in TOKENS if fits[name] and _is_string(_item(rows.features[name]))]
    if len(fitting) > 1 and not same:
        raise CorpusError(
            f"{rows.name}: columns {' and '.join(TOKENS)} differ, and both have as many as {tags}: choose one with "
            "--token-column NAME"
        )
    return (fitting or list(TOKENS))[0]


def _item(feature: Any) -> Any:
    """RETURNS: The feature of a list's items; None for others. Versions of `datasets` spell lists in two ways."""
    if isinstance(feature, list):
        return feature[0]
    return getattr(feature, "feature", None)


def _is_string(feature: Any) -> bool:
    return getattr(feature, "dtype", None) in ("string", "large_string") and not hasattr(feature, "names")


def _id_column(rows: Rows) -> str | None:
    return next((column for column in DOCUMENT_IDS if column in rows.features), None)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
