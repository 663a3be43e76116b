"""Writers of the output's formats: a shard's file, and one file of all shards.

.jsonl     {"id": …, "text": …, …, "entities": [{"start": 0, "end": 4, "label": "PER", "confidence": 0.98}]}
.parquet   a row per document, the entities as a list of structs
.spacy     a DocBin: doc.ents; doc.spans["bert_ner"] with scores; the other fields in doc.user_data["fields"]
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import srsly
from spacy.tokens import Doc, DocBin, Span, SpanGroup

from spacy_bert_ner.ner.annotations import PLACE_KEYS
from spacy_bert_ner.storage.files import replacing

from .conversion import Annotated, AnnotatedEntity, RecordError, to_json
from .output_options import ID, OutputOptions
from .parquet import COMPRESSION, OTHERS, OutputColumns, make_table
from .readers import USER_FIELDS

# Where `bert_ner` itself leaves confidences, unless its config says otherwise.
SPANS_KEY = "bert_ner"


class Part(Protocol):
    """A shard's file, built document by document."""

    def add(self, document: Annotated) -> None:
        """Add a document. RAISES: RecordError where it cannot be written; the file is then unchanged."""

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): The file."""


class JsonlPart:
    """JSON Lines."""

    def __init__(self, options: OutputOptions) -> None:
        self._field = options.entities_field
        self._lines: list[bytes] = []

    def add(self, document: Annotated) -> None:
        entities = [entity._asdict() for entity in document.entities]
        self._lines.append(to_json({**document.fields, self._field: entities}).encode("utf8") + b"\n")

    def to_bytes(self) -> bytes:
        return b"".join(self._lines)


class ParquetPart:
    """A Parquet file of one row group."""

    def __init__(self, options: OutputOptions, columns: OutputColumns) -> None:
        self._options, self._columns = options, columns
        self._rows: list[dict[str, Any]] = []

    def add(self, document: Annotated) -> None:
        own_id, text = self._options.id_field or ID, self._options.text_field
        row = dict(document.fields)
        if not self._columns.typed:
            others = {name: value for name, value in row.items() if name not in (own_id, text)}
            row = {own_id: str(document.id), text: document.text, OTHERS: to_json(others)}
        row[self._options.entities_field] = [entity._asdict() for entity in document.entities]
        self._rows.append(row)

    def to_bytes(self) -> bytes:
        import pyarrow
        import pyarrow.parquet

        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(make_table(self._rows, self._columns.schema), sink, compression=COMPRESSION)
        return sink.getvalue().to_pybytes()


class SpacyPart:
    """A DocBin."""

    def __init__(self, options: OutputOptions) -> None:
        self._text_field = options.text_field
        self._docbin = new_docbin()

    def add(self, document: Annotated) -> None:
        doc = join_docs(document.docs)
        fields = {name: value for name, value in document.fields.items() if name != self._text_field}
        doc.user_data[USER_FIELDS] = json.loads(to_json(fields))
        try:
            srsly.msgpack_dumps(doc.user_data)
        except (ValueError, TypeError, OverflowError) as error:
            raise RecordError(f"its fields cannot be written to a .spacy file: {error}") from error
        spans = [_span(doc, entity) for entity in document.entities]
        doc.set_ents(spans, default="outside")
        set_confidences(doc, [entity.confidence for entity in document.entities])
        self._docbin.add(doc)

    def to_bytes(self) -> bytes:
        return self._docbin.to_bytes()


def new_part(options: OutputOptions, columns: OutputColumns | None) -> Part:
    """RETURNS (Part): An empty shard's file of the output's format; Parquet needs `columns`."""
    if options.format == "parquet" and columns is not None:
        return ParquetPart(options, columns)
    return SpacyPart(options) if options.format == "spacy" else JsonlPart(options)


def new_docbin() -> DocBin:
    """RETURNS (DocBin): Empty, with the attributes that this project writes."""
    return DocBin(attrs=["ENT_IOB", "ENT_TYPE"], store_user_data=True)


def set_confidences(doc: Doc, confidences: Sequence[float | None]) -> None:
    """Write the confidences of doc.ents to doc.spans, where `span._.confidence` finds them; None is left out."""
    scored = [(ent, score) for ent, score in zip(doc.ents, confidences, strict=True) if score is not None]
    if not scored:
        return
    spans = [span for span, _ in scored]
    group = SpanGroup(doc, name=SPANS_KEY, spans=spans)
    group.attrs["scores"] = np.array([score for _, score in scored], dtype=np.float32)
    places = [[span.start_char for span in spans], [span.end_char for span in spans], [span.label_ for span in spans]]
    group.attrs |= dict(zip(PLACE_KEYS, places, strict=True))
    doc.spans[SPANS_KEY] = group


def _span(doc: Doc, entity: AnnotatedEntity) -> Span:
    span = doc.char_span(entity.start, entity.end, label=entity.label)
    assert span is not None, "the tokens are those in which the entity was found"
    return span


def join_docs(docs: Sequence[Doc]) -> Doc:
    """RETURNS (Doc): All pieces' tokens, without annotation."""
    tokens = [token for doc in docs for token in doc]
    words, spaces = [token.text for token in tokens], [bool(token.whitespace_) for token in tokens]
    return Doc(docs[0].vocab, words=words, spaces=spaces)


def join_parts(parts: Sequence[Path], target: Path, options: OutputOptions, columns: OutputColumns | None) -> None:
    """Concatenate the shards' files into one, atomically.

    parts (Sequence[Path]): The shards' files, in order.
    columns (OutputColumns | None): Parquet's.
    """
    with replacing(target) as temporary:
        if options.format == "parquet" and columns is not None:
            _join_parquet(parts, temporary, columns)
        elif options.format == "spacy":
            docbin = new_docbin()
            for part in parts:
                docbin.merge(DocBin(store_user_data=True).from_disk(part))
            temporary.write_bytes(docbin.to_bytes())
        else:
            with temporary.open("wb") as file:
                for part in parts:
                    with part.open("rb") as lines:
                        shutil.copyfileobj(lines, file)


def _join_parquet(parts: Sequence[Path], target: Path, columns: OutputColumns) -> None:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetWriter(target, columns.schema, compression=COMPRESSION) as writer:
        for part in parts:
            writer.write_table(pyarrow.parquet.read_table(part, schema=columns.schema))
