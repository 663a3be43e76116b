"""spaCy's own examples as JSON: `[text, {"entities": […]}]`, NER Annotator's files of them, and `doc.to_json()`."""

from typing import Any

from spacy_bert_ner.data.documents import CorpusError
from spacy_bert_ner.data.notes import Notes

from .annotated import Draft
from .spans import check_text, read_span_list
from .unwrapping import ExportRecord, is_pair
from .visible import Visible


def is_example(value: Any) -> bool:
    """RETURNS (bool): Whether a JSON value is an example."""
    return is_pair(value) or (isinstance(value, dict) and "text" in value and isinstance(value.get("ents"), list))


def read_example(record: ExportRecord, notes: Notes) -> list[Draft]:
    """Read an example. RETURNS (list[Draft]): One. RAISES: CorpusError where it has no entities, as spancat's."""
    where, value = record.where, record.value
    text, found = value if is_pair(value) else (value["text"], {"entities": value["ents"]})
    if "entities" not in found:
        raise CorpusError(f'{where}: found the keys {", ".join(map(repr, found))} beside the text, expected "entities"')
    spans = read_span_list(where, found["entities"])
    return [Draft(where, {"text": Visible(check_text(where, text))}, spans, counts_utf16=record.is_ner_annotator)]
