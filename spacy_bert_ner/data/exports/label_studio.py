"""Label Studio: tasks with their regions (JSON), and its short form (JSON-MIN).

plain text     "labels"            start, end: characters
HTML           "hypertextlabels"   globalOffsets: visible characters; start, end: elements
dialogues      "paragraphlabels"   start: paragraph, startOffset: characters in it; or globalOffsets
"""

import json
import re
from collections import defaultdict
from dataclasses import replace
from typing import Any

from spacy_bert_ner.data.documents import CorpusError
from spacy_bert_ner.data.notes import Notes

from .annotated import Draft, DraftSpan
from .fields import USUAL_FIELD
from .spans import check_text, read_span_list
from .unwrapping import ExportRecord
from .visible import Visible, from_html, from_paragraphs

PLAIN, HTML, PARAGRAPHS = "labels", "hypertextlabels", "paragraphlabels"
REGION_KINDS = (PLAIN, HTML, PARAGRAPHS)
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>|&(?:\w+|#\d+);")
_QUOTED = re.compile(r"\s*\[\s*\{")
UNREAD = "{n} fields begin as a list of regions does, and are no JSON: they were not read, and their texts left out:"
# Suffix of a field's name whose markup is parsed.
_AS_HTML = " (HTML)"
# What JSON-MIN adds to a task's own fields.
_ADDED = frozenset(["annotator", "created_at", "updated_at"])


def is_label_studio_task(value: Any) -> bool:
    """RETURNS (bool): Whether a JSON value is a task with its annotations."""
    keys = ("annotations", "completions", "predictions")
    return isinstance(value, dict) and isinstance(value.get("data"), dict) and any(key in value for key in keys)


def is_short_task(value: Any) -> bool:
    """RETURNS (bool): Whether a JSON value is a task of JSON-MIN."""
    if not isinstance(value, dict):
        return False
    return "annotation_id" in value or any(_is_regions(_unquoted(key, own)) for key, own in value.items())


def read_label_studio_task(record: ExportRecord, notes: Notes) -> list[Draft]:
    """Read a task: the last annotation that was not cancelled.

    RETURNS (list[Draft]): A draft for each text with regions; one where there is no region; empty where the task is
        unannotated.
    """
    task, where = record.value, record.where
    # "completions" before version 1.0.
    annotations = task.get("annotations", task.get("completions", []))
    try:
        finished = [entry["result"] for entry in annotations if not entry.get("was_cancelled")]
        last = finished[-1] if finished else []
        regions = [(region.get("type"), region.get("to_name", ""), region.get("value")) for region in last]
    except (AttributeError, KeyError, TypeError) as error:
        raise CorpusError(f'{where}: found other "annotations" than Label Studio writes') from error
    if not finished:
        notes.count("{n} texts without annotation were left out")
        return []
    notes.count("{n} texts were annotated more than once: the last annotation was read", len(finished) > 1)
    return _drafts(where, _texts(where, task["data"]), regions, notes)


def read_short_task(record: ExportRecord, notes: Notes) -> list[Draft]:
    """Read a task of JSON-MIN. RETURNS (list[Draft]): Empty where its regions are cut off."""
    task = {key: _unquoted(key, value) for key, value in record.value.items()}
    regions = [(None, key, region) for key, value in task.items() if _is_regions(value) for region in value]
    fields = {key: value for key, value in task.items() if key not in _ADDED and not _is_regions(value)}
    unread = [
        key for key, value in fields.items() if key != USUAL_FIELD and isinstance(value, str) and _QUOTED.match(value)
    ]
    for key in unread:
        notes.place(UNREAD, f"{record.where}: {key!r}: {fields[key][:60]}")
    if unread:
        return []
    return _drafts(record.where, _texts(record.where, fields), regions, notes)


def _unquoted(key: str, value: Any) -> Any:
    """Parse a list of objects that is written as a string of JSON, as in CSV exports that were turned into JSON."""
    if key == USUAL_FIELD or not isinstance(value, str) or not _QUOTED.match(value):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _is_regions(value: Any) -> bool:
    """RETURNS (bool): Whether a value of JSON-MIN is a list of regions."""
    if not isinstance(value, list) or not value:
        return False
    return all(
        isinstance(item, dict) and any(isinstance(item.get(kind), list) for kind in REGION_KINDS) for item in value
    )


def _drafts(where: str, texts: dict[str, Visible], regions: list[tuple[Any, str, Any]], notes: Notes) -> list[Draft]:
    spans: dict[tuple[str, str], list[DraftSpan]] = defaultdict(list)
    for kind, target, value in regions:
        found = _kind(kind, value)
        if found is None:
            notes.count(f"{{n}} regions of the type {kind!r} are no entities of a text, and were not read")
            continue
        spans[target, found] += _region(where, found, value)
    drafts = [Draft(where, _shown(texts, kind), found, target) for (target, kind), found in spans.items()]
    return drafts or [Draft(where, texts)]


def _shown(texts: dict[str, Visible], kind: str) -> dict[str, Visible]:
    """Leave out the parsed or unparsed markup, whichever regions of this kind cannot refer to."""
    other = {name if kind == HTML else f"{name}{_AS_HTML}" for name in texts if f"{name}{_AS_HTML}" in texts}
    return {name: text for name, text in texts.items() if name not in other}


def _kind(kind: Any, value: Any) -> str | None:
    """RETURNS (str | None): A region's kind: one of REGION_KINDS, or None. Some versions do not name it."""
    if not isinstance(value, dict) or (kind is not None and kind not in REGION_KINDS):
        return None
    return kind or next((name for name in REGION_KINDS if isinstance(value.get(name), list)), None)


def _region(where: str, kind: str, value: dict[str, Any]) -> list[DraftSpan]:
    """Read a region. RETURNS (list[DraftSpan]): One for each of its labels."""
    labels = value.get(kind) or [""]
    quoted = value.get("text") if isinstance(value.get("text"), str) and value["text"].strip() else None
    if kind == PLAIN and type(value.get("start")) is int:
        plain = {key: value.get(key) for key in ("start", "end", "text")}
        # An unlabelled region is read with a placeholder, which is then removed.
        named = read_span_list(where, [{**plain, "label": label or PLAIN} for label in labels])
        return [span if label else replace(span, label="") for span, label in zip(named, labels, strict=True)]
    start, end = _offsets(value.get("globalOffsets"), "start", "end") or (None, None)
    if quoted is None and kind != PLAIN:
        # Without its text, offsets into the displayed page cannot be verified.
        start = end = None
    local = _local(value) if kind == PARAGRAPHS and quoted else None
    return [DraftSpan(start, end, str(label), quoted, local) for label in labels]


def _local(value: dict[str, Any]) -> tuple[int, int, int] | None:
    """Read offsets within one paragraph."""
    first, last = str(value.get("start", "")), str(value.get("end", ""))
    offsets = _offsets(value, "startOffset", "endOffset")
    return (*offsets, int(first)) if offsets and first == last and first.isascii() and first.isdigit() else None


def _offsets(value: Any, start: str, end: str) -> tuple[int, int] | None:
    if isinstance(value, dict) and type(value.get(start)) is int and type(value.get(end)) is int:
        return value[start], value[end]
    return None


def _texts(where: str, fields: dict[str, Any]) -> dict[str, Visible]:
    """Find candidates for the text: any field of text, plain or parsed as HTML, and any list of paragraphs."""
    texts: dict[str, Visible] = {}
    for name, value in fields.items():
        if isinstance(value, str):
            texts[name] = Visible(check_text(where, value))
            if _MARKUP.search(value):
                texts[f"{name}{_AS_HTML}"] = from_html(value)
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            for key in value[0]:
                paragraphs = [item.get(key) for item in value]
                if all(isinstance(paragraph, str) for paragraph in paragraphs):
                    texts[f"{name}.{key}"] = from_paragraphs([check_text(where, text) for text in paragraphs])
        elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            texts[name] = from_paragraphs([check_text(where, text) for text in value])
    if not texts:
        raise CorpusError(f"{where}: found no text among the fields {', '.join(map(repr, fields))}; expected one")
    return texts
