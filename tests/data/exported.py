"""Records of annotation tools, and what comes of them: what the tests of exports share."""

import json
from pathlib import Path
from typing import Any

from spacy_bert_ner.data.formats import Contents

CASES = Path(__file__).parent / "cases"


def write(path: Path, *records: Any) -> Path:
    path.write_text("\n".join(json.dumps(record, ensure_ascii=False) for record in records), encoding="utf8")
    return path


def entities(contents: Contents) -> list[list[tuple[str, str]]]:
    return [[(text.text[start:end], label) for start, end, label in text.spans] for text in contents.texts]


def notes(contents: Contents) -> str:
    return "\n".join(line for kind, places in contents.notes.lines() for line in [kind, *places])


def task(data: Any, *regions: Any, kind: str | None = "labels", **annotation: Any) -> dict[str, Any]:
    """A task of Label Studio's; regions are values, or whole results."""
    results = [region if "type" in region else {"type": kind, "value": region} for region in regions]
    return {
        "data": data if isinstance(data, dict) else {"text": data},
        "annotations": [{"result": results, **annotation}],
    }


def region(start: Any, end: Any, text: str | None = None, label: str = "PER", kind: str = "labels") -> dict[str, Any]:
    return {"start": start, "end": end, kind: [label]} | ({} if text is None else {"text": text})


READ: dict[str, tuple[list[list[tuple[str, str]]], list[str]]] = {
    "05_doccano_dups/export.jsonl": (
        [[("must", "MODAL"), ("must", "MODAL"), ("Hall B", "LOCATION")]],
        ["1 entities were"],
    ),
    "06_ls_hypertext/hypertextlabels.jsonl": ([[("Anna Berg", "PER")], [("Bob", "PER")]], ["2 texts are HTML"]),
    "07_ls_url/several_fields.jsonl": ([[("Anna", "PER")]], ["the field 'body'"]),
    "08_ls_crlf/export.jsonl": (
        [[("Anna Berg", "PER"), ("Bob Lind", "PER"), ("Oslo", "LOC"), ("Anna", "PER")]],
        ["CRLF as one"],
    ),
    "08_ls_crlf/lands_on_words.jsonl": ([[("Ann", "PER")]], ["CRLF as one"]),
    "11_prodigy_binary/nospans.jsonl": ([[("Anna Berg", "PER")], []], []),
    "11_prodigy_binary/teach.jsonl": (
        [[("Anna Berg", "PER"), ("Bob Lind", "PER"), ("Oslo", "LOC")], [("Rome", "LOC")]],
        ["5 answers to single suggestions", "2 texts have them"],
    ),
    "12_ner_annotator/annotations.json": (
        [[("Anna Berg", "PER"), ("Oslo", "LOC")], []],
        ["1 texts without annotation were left out"],
    ),
    "12_ner_annotator/pretty.json": ([[("Anna Berg", "PER"), ("Oslo", "LOC")]], []),
    "12_ner_annotator/spacy2.json": ([[("Anna Berg", "PER"), ("Oslo", "LOC")], []], []),
}
