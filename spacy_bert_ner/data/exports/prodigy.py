"""Prodigy: whole annotations of `ner.manual` and the like, and the answers to single questions of `ner.teach`."""

from typing import Any

from spacy_bert_ner.data.notes import Notes

from .annotated import Draft
from .spans import check_text, read_span_list
from .unwrapping import ExportRecord
from .visible import Visible

_KEYS = ("answer", "_view_id", "_input_hash", "_task_hash", "_is_binary")
# Of text classification, which has no spans to leave out.
_OTHER_KEYS = ("label", "labels", "options", "entities")


def is_prodigy_task(value: Any) -> bool:
    """Say whether a JSON value is a task."""
    if not isinstance(value, dict) or "text" not in value:
        return False
    return "spans" in value or (any(key in value for key in _KEYS) and not any(key in value for key in _OTHER_KEYS))


def read_prodigy_task(record: ExportRecord, notes: Notes) -> list[Draft]:
    """Read a task. RETURNS (list[Draft]): One; none where it was ignored, rejected as a whole, or has no answer."""
    value, where = record.value, record.where
    answer = value.get("answer")
    binary = is_binary(value)
    if answer == "ignore" or (answer == "reject" and not binary):
        notes.count(f"{{n}} texts were {answer}{'d' if answer == 'ignore' else 'ed'}: left out")
        return []
    found = value.get("spans")
    # Prodigy leaves the key out where an accepted task has none.
    if found is None and answer != "accept":
        notes.count("{n} texts without annotation were left out")
        return []
    text = Visible(check_text(where, value["text"]))
    spans = read_span_list(where, [] if found is None else found)
    return [Draft(where, {"text": text}, spans, answer=(answer or "accept") if binary else None)]


def is_binary(task: dict[str, Any]) -> bool:
    """RETURNS (bool): Whether a task asks to accept or reject its spans, as the interface `ner` always does."""
    return bool(task.get("_is_binary", task.get("_view_id") == "ner"))
