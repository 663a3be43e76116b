"""Parquet, in and out: the only format with typed columns."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .annotation_error import AnnotationError
from .inputs import InputFile
from .output_options import ID, OutputOptions
from .records import InputRecord, Positioned

if TYPE_CHECKING:
    import pyarrow

BATCH_ROWS = 256
# The output's column that holds, as a JSON object, the fields beside id and text of an input without types.
OTHERS = "fields"
COMPRESSION = "zstd"


@dataclass(frozen=True)
class OutputColumns:
    """The output's columns.

    typed (bool): Whether they are the input's columns; else id, text and the other fields as JSON.
    """

    schema: "pyarrow.Schema"
    typed: bool


def need_arrow() -> None:
    """RAISES: AnnotationError that says what to install where pyarrow is missing."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise AnnotationError(
            "Parquet needs pyarrow, which is not installed: pip install 'spacy-bert-ner[parquet]'"
        ) from error


def read_parquet(source: InputFile, options: OutputOptions) -> Iterator[Positioned]:
    """Read the rows of a Parquet file, a few at a time."""
    with _opened(source) as file:
        rows, number = max(1, file.metadata.num_rows), 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=_columns(source, file.schema_arrow, options)):
            for fields in batch.to_pylist():
                number += 1
                yield Positioned(InputRecord(f"{source.name}:#{number}", fields), source.size * number // rows)


@contextmanager
def _opened(source: InputFile) -> Iterator["pyarrow.parquet.ParquetFile"]:
    """Open a Parquet file. RAISES: AnnotationError where it is not one, or is damaged."""
    need_arrow()
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(source.path) as file:
            yield file
    except (pyarrow.lib.ArrowException, OSError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise AnnotationError(
            f"{source.name}: not a Parquet file, or a damaged one ({first}), expected a complete one"
        ) from error


def read_schema(source: InputFile, options: OutputOptions) -> "pyarrow.Schema":
    """RETURNS (pyarrow.Schema): Of the columns of a Parquet file that are read, without metadata.

    RAISES: AnnotationError where it is not a Parquet file or lacks a column.
    """
    with _opened(source) as file:
        import pyarrow

        schema = file.schema_arrow
    return pyarrow.schema([schema.field(name) for name in _columns(source, schema, options)])


def output_columns(sources: Sequence[InputFile], options: OutputOptions) -> OutputColumns:
    """Choose the output's columns.

    RETURNS (OutputColumns): The input's columns where it is all Parquet, and else id, text and the other fields as
        JSON; then the entities.
    RAISES: AnnotationError where Parquet files differ in a column, or where two columns would have the same name.
    """
    need_arrow()
    import pyarrow

    typed = bool(sources) and all(source.kind == "parquet" for source in sources)
    columns = _common_columns(sources, options) if typed else _plain_columns(options)
    columns.append(pyarrow.field(options.entities_field, entities_type(), nullable=False))
    names = [column.name for column in columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise AnnotationError(
            f"the output would have two columns {', '.join(twice)}: name the entities' with --entities-field, or leave "
            "the input's out with --fields"
        )
    return OutputColumns(pyarrow.schema(columns), typed)


def _plain_columns(options: OutputOptions) -> list["pyarrow.Field"]:
    import pyarrow

    own_id, text, kept = options.id_field or ID, options.text_field, options.fields
    columns = [pyarrow.field(own_id, pyarrow.string(), nullable=False)]
    if kept is None or text in kept:
        columns.append(pyarrow.field(text, pyarrow.string(), nullable=False))
    if kept is None or set(kept) - {text, own_id}:
        columns.append(pyarrow.field(OTHERS, pyarrow.string(), nullable=False))
    return columns


def entities_type() -> "pyarrow.DataType":
    """RETURNS (pyarrow.DataType): Of the column with a document's entities."""
    import pyarrow

    parts = [("start", pyarrow.int64()), ("end", pyarrow.int64()), ("label", pyarrow.string())]
    return pyarrow.list_(pyarrow.struct([*parts, ("confidence", pyarrow.float32())]))


def make_table(rows: Sequence[dict[str, Any]], schema: "pyarrow.Schema") -> "pyarrow.Table":
    """RETURNS (pyarrow.Table): Rows in columns. RAISES: AnnotationError where a value is not of its column's type."""
    import pyarrow

    arrays = []
    for column in schema:
        try:
            arrays.append(pyarrow.array([row.get(column.name) for row in rows], column.type))
        except (pyarrow.lib.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise AnnotationError(
                f"column {column.name} of type {column.type} cannot be written: {error}; leave it out with --fields"
            ) from error
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def _common_columns(sources: Sequence[InputFile], options: OutputOptions) -> list["pyarrow.Field"]:
    import pyarrow

    first = read_schema(sources[0], options)
    for source in sources[1:]:
        other = read_schema(source, options)
        for name in {**dict.fromkeys(first.names), **dict.fromkeys(other.names)}:
            types = [schema.field(name).type if name in schema.names else "not there" for schema in (first, other)]
            if types[0] != types[1]:
                raise AnnotationError(
                    f"{source.name}: column {name} is {types[1]}, and {types[0]} in {sources[0].name}, expected the "
                    "same: leave it out with --fields"
                )
    kept = [first.field(name) for name in first.names if options.fields is None or name in options.fields]
    own_id = options.id_field or ID
    if own_id in first.names:
        kept = kept if own_id in [column.name for column in kept] else [first.field(own_id), *kept]
    else:
        kept = [pyarrow.field(ID, pyarrow.string(), nullable=False), *kept]
    return [column.remove_metadata().with_nullable(True) for column in kept]


def _columns(source: InputFile, schema: "pyarrow.Schema", options: OutputOptions) -> list[str]:
    """Choose the columns to read. RAISES: AnnotationError where one is missing."""
    named = [name for name in (options.text_field, options.id_field, *(options.fields or ())) if name is not None]
    if missing := [name for name in named if name not in schema.names]:
        raise AnnotationError(
            f"{source.name}: no column {', '.join(missing)} among {', '.join(schema.names)}: name the text's with "
            "--text-field, the id's with --id-field"
        )
    wanted = {*named, ID}
    return [name for name in schema.names if options.fields is None or name in wanted]
