"""The Hub's row format: a row per sentence, with a list of tokens and a list of tags.

    document_id  tokens                          ner_tags
    1            ["EU", "rejects", "German"]     [3, 0, 7]     ClassLabel: names stand in the features
    1            ["Peter", "Blackburn"]          [1, 2]        or the names themselves, as strings

Source: `tomaarsen/conll2003` and the many data sets in the same form, as the `datasets` library writes them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from spacy_bert_ner.corpus.documents import CorpusError, Document
from spacy_bert_ner.corpus.tagged import DOCSTART, TaggedSentence, is_tag, make_documents, unknown_tag

TOKENS, TAGS = "tokens", "ner_tags"
DOCUMENT_IDS = ("document_id", "doc_id")
BATCH_SIZE = 1000


@dataclass(frozen=True)
class Rows:
    """A table of rows from wherever it comes.

    name (str): What errors call it.
    features (Mapping[str, Any]): `datasets` feature of each column.
    count (int): Number of rows.
    batches (Callable[[list[str]], Iterator[Mapping[str, list[Any]]]]): Reads columns, some rows at a time.
    """

    name: str
    features: Mapping[str, Any]
    count: int
    batches: Callable[[list[str]], Iterator[Mapping[str, list[Any]]]]


def parquet_rows(path: Path) -> Rows:
    """Open a parquet file; names of tags come from its own metadata, and nothing is written to any cache.

    path (Path): The file.
    RETURNS (Rows): Its rows.
    RAISES: CorpusError where it is no parquet file, or its features are of a kind that `datasets` does not know.
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
    """Give the rows of a split that `datasets` has loaded.

    dataset (datasets.Dataset): The split.
    name (str): What errors call it.
    RETURNS (Rows): Its rows.
    """

    def batches(columns: list[str]) -> Iterator[Mapping[str, list[Any]]]:
        for batch in dataset.select_columns(columns).with_format("arrow").iter(batch_size=BATCH_SIZE):
            yield batch.to_pydict()

    return Rows(name, dataset.features, dataset.num_rows, batches)


def read_rows(shards: Sequence[Rows]) -> list[Document]:
    """Read the shards of a split, in order.

    shards (Sequence[Rows]): At least one.
    RETURNS (list[Document]): A document per run of rows with one document id; where there is no such column, one
        per row of a single DOCSTART token; where there is neither, by tens, with a line in the log.
    RAISES: CorpusError with file and row (counted from 0, as in `dataset[row]`) of what is wrong.
    """
    name = shards[0].name
    sentences: list[TaggedSentence] = []
    documents = 0
    with tqdm(total=sum(rows.count for rows in shards), desc=name, unit="row", disable=None, leave=False) as bar:
        for rows in shards:
            for sentence in _read_table(rows):
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
    return make_documents(sentences, name)


def _read_table(rows: Rows) -> Iterator[TaggedSentence]:
    """Yield a table's rows, checked, as sentences; rows without tokens and DOCSTART rows are among them."""
    names = _tag_names(rows)
    id_column = _id_column(rows)
    columns = [TOKENS, TAGS, *([id_column] if id_column else [])]
    at = 0
    for batch in rows.batches(columns):
        ids = batch[id_column] if id_column else [""] * len(batch[TOKENS])
        for tokens, tags, document in zip(batch[TOKENS], batch[TAGS], ids, strict=True):
            where = f"{rows.name}: row {at}"
            _check_tokens(where, tokens, tags)
            if document is None:
                raise CorpusError(f"{where}: no {id_column}, expected one in every row, or no such column")
            # A DOCSTART row's tag says nothing, and need not be one.
            read = [] if tokens == [DOCSTART] else [_read_tag(where, i, tag, names) for i, tag in enumerate(tags)]
            own_id = str(document) if id_column else None
            yield TaggedSentence(tuple(tokens), tuple(read), own_id, rows.name, at, is_row=True)
            at += 1


def _check_tokens(where: str, tokens: list[Any] | None, tags: list[Any] | None) -> None:
    if tokens is None or tags is None:
        raise CorpusError(f"{where}: no {TOKENS if tokens is None else TAGS}, expected a list")
    if len(tokens) != len(tags):
        raise CorpusError(f"{where}: {len(tokens)} {TOKENS} and {len(tags)} {TAGS}, expected as many of both")
    for i, token in enumerate(tokens):
        if not token:
            raise CorpusError(f"{where}, token {i}: an empty token, expected text")


def _read_tag(where: str, token: int, tag: Any, names: Sequence[str] | None) -> str:
    if names is not None:
        if tag is None or not 0 <= tag < len(names):
            raise CorpusError(f"{where}, token {token}: tag number {tag}, expected one from 0 to {len(names) - 1}")
        tag = names[tag]
    if tag is None or not is_tag(tag):
        raise unknown_tag(f"{where}, token {token}", tag)
    return str(tag)


def _tag_names(rows: Rows) -> list[str] | None:
    """Check a table's features. RETURNS (list[str] | None): The tags' names; None where tags are strings already."""
    missing = [column for column in (TOKENS, TAGS) if column not in rows.features]
    if missing:
        found = ", ".join(rows.features)
        raise CorpusError(f"{rows.name}: no column {' and '.join(missing)} among {found}, expected {TOKENS} and {TAGS}")
    tokens, tags = _item(rows.features[TOKENS]), _item(rows.features[TAGS])
    if not _is_string(tokens):
        raise CorpusError(f"{rows.name}: column {TOKENS} is {rows.features[TOKENS]}, expected lists of strings")
    names = getattr(tags, "names", None)
    if names is not None or _is_string(tags):
        return names
    raise CorpusError(
        f"{rows.name}: column {TAGS} is {rows.features[TAGS]}, expected lists of strings, or of ClassLabel, which name "
        f"the numbers: give the column a ClassLabel feature with `datasets`, or write the tags as strings"
    )


def _item(feature: Any) -> Any:
    """Give the feature of a list's items; None where the feature is no list. `datasets` has spelt lists in two ways."""
    if isinstance(feature, list):
        return feature[0]
    return getattr(feature, "feature", None)


def _is_string(feature: Any) -> bool:
    return getattr(feature, "dtype", None) in ("string", "large_string") and not hasattr(feature, "names")


def _id_column(rows: Rows) -> str | None:
    return next((column for column in DOCUMENT_IDS if column in rows.features), None)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
