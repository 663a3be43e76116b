"""From a record to its text, and from a pipeline's documents to the output's fields and entities."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from spacy.tokens import Doc

from spacy_bert_ner.ner.annotations import get_confidence

from .output_options import ID, OutputOptions
from .records import InputRecord

# Digits of a confidence: with more, the output would depend on how texts were batched.
DIGITS = 6


class RecordError(ValueError):
    """A record that cannot be annotated or written: says what was found and what was expected."""


class AnnotatedEntity(NamedTuple):
    """An entity as it is written.

    start, end (int): In characters of the text, the end exclusive.
    confidence (float | None): None where no component stored one.
    """

    start: int
    end: int
    label: str
    confidence: float | None


@dataclass(frozen=True)
class Annotated:
    """An annotated document.

    id (Any): The input's, or the document's place in the input.
    fields (dict[str, Any]): The input's fields that are kept, the id first where it is the document's place.
    docs (Sequence[Doc]): Its pieces: several for long texts.
    entities (tuple[AnnotatedEntity, ...]): The entities that are kept, with offsets in the whole text.
    """

    id: Any
    text: str
    fields: dict[str, Any]
    docs: Sequence[Doc]
    entities: tuple[AnnotatedEntity, ...]

    @property
    def words(self) -> int:
        return sum(map(len, self.docs))


def get_text(record: InputRecord, options: OutputOptions) -> str:
    """Take a record's text.

    RAISES: RecordError where there is none, or something else is wrong with the record.
    """
    if record.problem:
        raise RecordError(record.problem)
    text = _field(record, options.text_field, "--text-field")
    if not isinstance(text, str):
        raise RecordError(f"field {options.text_field} is {_kind(text)}, expected text")
    own_id = _field(record, options.id_field, "--id-field") if options.id_field else record.fields.get(ID, "")
    if isinstance(own_id, str):
        _check_unicode(options.id_field or ID, own_id)
    elif options.id_field and (isinstance(own_id, bool) or not isinstance(own_id, int)):
        raise RecordError(f"field {options.id_field} is {_kind(own_id)}, expected text or a whole number")
    _check_unicode(options.text_field, text)
    if options.entities_field in keep_fields(record, options):
        raise RecordError(
            f"a field {options.entities_field} exists already: name another with --entities-field, or leave it out "
            "with --fields"
        )
    return text


def keep_fields(record: InputRecord, options: OutputOptions) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The record's fields that the output holds; an id is always among them."""
    own_id = options.id_field or ID
    kept = {
        name: value
        for name, value in record.fields.items()
        if options.fields is None or name in options.fields or name == own_id
    }
    return kept if own_id in record.fields else {ID: record.place, **kept}


def find_entities(docs: Sequence[Doc], starts: Sequence[int], options: OutputOptions) -> tuple[AnnotatedEntity, ...]:
    """Read a document's entities from its pieces.

    starts (Sequence[int]): The offset of each piece in the text, in characters.
    options (OutputOptions): Which entities to keep.
    RETURNS (tuple[AnnotatedEntity, ...]): In the order of the text.
    """
    found = []
    for doc, start in zip(docs, starts, strict=True):
        for ent in doc.ents:
            confidence = get_confidence(ent)
            if options.labels is not None and ent.label_ not in options.labels:
                continue
            if confidence is None or confidence >= options.min_confidence:
                rounded = None if confidence is None else round(confidence, DIGITS)
                found.append(AnnotatedEntity(start + ent.start_char, start + ent.end_char, ent.label_, rounded))
    return tuple(found)


def to_json(value: Any) -> str:
    """Write a value as one line of JSON.

    value (Any): A JSON value; dates and times become ISO 8601, decimals and UUIDs text, bytes Base64.
    RETURNS (str): Without escapes, but for text with lone surrogates.
    RAISES: RecordError where it cannot be written.
    """
    try:
        line = json.dumps(value, ensure_ascii=False, default=_plain)
        try:
            line.encode("utf8")
        except UnicodeEncodeError:
            return json.dumps(value, default=_plain)
        return line
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordError(f"its fields cannot be written as JSON: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"a value of type {type(value).__name__}")


def _field(record: InputRecord, name: str, option: str) -> Any:
    if name not in record.fields:
        raise RecordError(f"no field {name} among {_names(record.fields)}: name it with {option}")
    return record.fields[name]


def _names(fields: Mapping[str, Any]) -> str:
    return ", ".join(list(fields)[:8]) or "nothing"


def _kind(value: Any) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"


def _check_unicode(name: str, text: str) -> None:
    try:
        text.encode("utf8")
    except UnicodeEncodeError as error:
        raise RecordError(
            f"field {name} holds half of a surrogate pair at {error.start}, expected Unicode: export it again"
        ) from error
