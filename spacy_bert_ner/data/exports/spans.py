"""Entities of an export, in the forms of the different tools."""

import json
from typing import Any

from spacy_bert_ner.data.documents import CorpusError

from .annotated import DraftSpan

_STARTS, _ENDS = ("start", "start_offset"), ("end", "end_offset")


def read_span(where: str, span: Any) -> DraftSpan:
    """Read an entity: `[start, end, label]`, or an object with these.

    where (str): The text's place.
    span (Any): The JSON value.
    RAISES: CorpusError where offsets or type are missing, or it has several types.
    """
    start = end = label = quoted = None
    if isinstance(span, list) and len(span) == 3:
        start, end, label = span
    elif isinstance(span, dict):
        start, end = _first(span, _STARTS), _first(span, _ENDS)
        label, quoted = _label(span), span.get("text")
    # By the exact type: a bool is an int, too.
    if not (type(start) is int and type(end) is int and isinstance(label, str) and label.strip()):
        raise CorpusError(
            f"{where}: found the entity {json.dumps(span, ensure_ascii=False)[:200]}; expected first and last "
            "character and one type"
        )
    return DraftSpan(start, end, label, quoted if isinstance(quoted, str) and quoted.strip() else None)


def read_span_list(where: str, found: Any) -> list[DraftSpan]:
    """Read a list of entities. RAISES: CorpusError where the value is not a list."""
    if not isinstance(found, list):
        raise CorpusError(
            f"{where}: found {json.dumps(found, ensure_ascii=False)[:80]} for entities, expected a list of first and "
            "last character and type each"
        )
    return [read_span(where, span) for span in found]


def check_text(where: str, text: Any) -> str:
    """RETURNS (str): The text. RAISES: CorpusError where the value is not text, or holds a lone surrogate."""
    if not isinstance(text, str):
        raise CorpusError(f"{where}: found no text; expected one, beside its entities")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise CorpusError(f"{where}: the text holds half of a surrogate pair, expected Unicode: export it again")
    return text


def _first(span: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((span[key] for key in keys if key in span), None)


def _label(span: dict[str, Any]) -> Any:
    labels = span.get("labels")
    return span.get("label", labels[0] if isinstance(labels, list) and len(labels) == 1 else None)
