"""Tasks for annotation tools: texts with entities already marked, for people to correct.

Prodigy        prodigy.jsonl       `prodigy ner.manual DATASET blank:en prodigy.jsonl --label PER,ORG`
doccano        doccano.jsonl       a project "Sequence Labeling", import JSONL
Label Studio   label-studio.json   a project with <Labels name="label" toName="text"> and
                                   <Text name="text" value="$text"/>
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from spacy_bert_ner.storage.files import write_atomically


class MarkedSpan(NamedTuple):
    """An entity of a task, in characters of its text, the end exclusive.

    confidence (float | None): From 0 to 1; None where it is not a model's.
    """

    start: int
    end: int
    label: str
    confidence: float | None = None


@dataclass(frozen=True)
class AnnotationTask:
    """A text for people to annotate.

    text (str): The text.
    annotated (tuple[MarkedSpan, ...] | None): Its annotation so far; None where nobody has annotated it.
    suggested (tuple[MarkedSpan, ...]): A model's reading.
    source (str): What the model's reading is called.
    meta (dict[str, Any]): What is shown beside the text: JSON values.
    tokens (tuple[tuple[int, int], ...]): First character and end of every token; none where they are not known.
        Prodigy, which marks whole tokens, would else cut the text by itself, and stop at a span of other tokens.
    """

    text: str
    annotated: tuple[MarkedSpan, ...] | None
    suggested: tuple[MarkedSpan, ...]
    source: str
    meta: dict[str, Any] = field(default_factory=dict)
    tokens: tuple[tuple[int, int], ...] = ()


def to_prodigy(task: AnnotationTask) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): A Prodigy task: the annotation, or the suggestion where there is none, is marked."""
    own: dict[str, Any] = {"text": task.text, "spans": _prodigy_spans(task, _first_reading(task)), "meta": task.meta}
    if task.tokens:
        own["tokens"] = [
            {"text": task.text[start:end], "start": start, "end": end, "id": i, "ws": task.text[end : end + 1] == " "}
            for i, (start, end) in enumerate(task.tokens)
        ]
    return own if task.annotated is None else {**own, "suggested_spans": _prodigy_spans(task, task.suggested)}


def to_doccano(task: AnnotationTask) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): A doccano document; what has no place in its format is among its metadata."""
    own: dict[str, Any] = {"text": task.text, "label": _doccano_spans(_first_reading(task)), **task.meta}
    if task.annotated is not None:
        return {**own, "suggested": _doccano_spans(task.suggested)}
    scored = [span.confidence for span in task.suggested]
    return own if None in scored else {**own, "confidences": scored}


def to_label_studio(task: AnnotationTask) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): A Label Studio task: the annotation, and the suggestion as a prediction."""
    prediction = {"model_version": task.source, "result": _regions(task, task.suggested)}
    own: dict[str, Any] = {"data": {"text": task.text, **task.meta}, "predictions": [prediction]}
    return own if task.annotated is None else {**own, "annotations": [{"result": _regions(task, task.annotated)}]}


def _first_reading(task: AnnotationTask) -> Sequence[MarkedSpan]:
    return task.suggested if task.annotated is None else task.annotated


def _prodigy_spans(task: AnnotationTask, spans: Iterable[MarkedSpan]) -> list[dict[str, Any]]:
    starts = {start: i for i, (start, _) in enumerate(task.tokens)}
    ends = {end: i for i, (_, end) in enumerate(task.tokens)}
    return [
        {"start": span.start, "end": span.end, "label": span.label}
        # The last token, not the one after it.
        | ({"token_start": starts[span.start], "token_end": ends[span.end]} if task.tokens else {})
        | ({} if span.confidence is None else {"score": span.confidence})
        for span in spans
    ]


def _doccano_spans(spans: Iterable[MarkedSpan]) -> list[list[Any]]:
    return [[span.start, span.end, span.label] for span in spans]


def _regions(task: AnnotationTask, spans: Iterable[MarkedSpan]) -> list[dict[str, Any]]:
    regions = []
    for i, span in enumerate(spans):
        value = {"start": span.start, "end": span.end, "text": task.text[span.start : span.end], "labels": [span.label]}
        region = {"id": f"entity-{i + 1}", "from_name": "label", "to_name": "text", "type": "labels", "value": value}
        regions.append(region if span.confidence is None else {**region, "score": span.confidence})
    return regions


# By file: how a task is written, and whether the file is one JSON array instead of lines.
TASK_FILES: dict[str, tuple[Callable[[AnnotationTask], dict[str, Any]], bool]] = {
    "prodigy.jsonl": (to_prodigy, False),
    "doccano.jsonl": (to_doccano, False),
    # Label Studio imports no JSON Lines.
    "label-studio.json": (to_label_studio, True),
}


def write_tasks(tasks: Sequence[AnnotationTask], folder: Path) -> list[Path]:
    """Write tasks in the format of every tool.

    tasks (Sequence[AnnotationTask]): The tasks, in the order in which they are to be annotated.
    folder (Path): Where the files of TASK_FILES go.
    RETURNS (list[Path]): The files.
    """
    written = []
    for name, (convert, is_array) in TASK_FILES.items():
        records = [json.dumps(convert(task), ensure_ascii=False) for task in tasks]
        text = "[\n" + ",\n".join(records) + "\n]\n" if is_array else "".join(f"{line}\n" for line in records)
        # Lone surrogates cannot be written as UTF-8; as JSON's own escapes they can.
        write_atomically(folder / name, text.encode("utf8", "backslashreplace"))
        written.append(folder / name)
    return written
