"""Tasks for annotation tools: what is written is read back as an export of the same tool."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_bert_ner.data.exports import list_records, read_export
from spacy_bert_ner.data.exports.annotated import CharSpan
from spacy_bert_ner.data.exports.tasks import TASK_FILES, AnnotationTask, MarkedSpan, write_tasks
from spacy_bert_ner.data.notes import Notes

FILES = list(TASK_FILES)
SPANS = (MarkedSpan(0, 4, "PER"), MarkedSpan(9, 13, "LOC"))
OTHERS = (MarkedSpan(0, 4, "PER", 0.9), MarkedSpan(9, 13, "ORG", 0.75))
TEXT = "Jane met Oslo \U0001f642."


def reread(path: Path) -> list[tuple[str, tuple[CharSpan, ...]]]:
    records = list_records(path, path.read_text(encoding="utf8"))
    return [(text.text, text.spans) for text in read_export(records, Notes())]


@pytest.mark.parametrize("name", FILES)
def test_annotation_comes_back(name: str, tmp_path: Path) -> None:
    tasks = [AnnotationTask(TEXT, SPANS, OTHERS, "model", {"reason": "why"}), AnnotationTask("Nobody", (), (), "model")]
    assert [path.name for path in write_tasks(tasks, tmp_path)] == FILES
    assert reread(tmp_path / name) == [(TEXT, tuple(CharSpan(*span[:3]) for span in SPANS)), ("Nobody", ())]


def test_both_readings_are_there(tmp_path: Path) -> None:
    write_tasks([AnnotationTask(TEXT, SPANS, OTHERS, "model", {"reason": "why"})], tmp_path)
    prodigy, doccano = (
        json.loads((tmp_path / name).read_text(encoding="utf8")) for name in ("prodigy.jsonl", "doccano.jsonl")
    )
    (studio,) = json.loads((tmp_path / "label-studio.json").read_text(encoding="utf8"))
    assert [span["label"] for span in prodigy["spans"]] == ["PER", "LOC"]
    assert [(span["label"], span["score"]) for span in prodigy["suggested_spans"]] == [("PER", 0.9), ("ORG", 0.75)]
    assert prodigy["meta"] == {"reason": "why"}
    assert doccano["suggested"] == [[0, 4, "PER"], [9, 13, "ORG"]]
    assert doccano["reason"] == "why"
    (prediction,) = studio["predictions"]
    assert [region["value"]["labels"] for region in prediction["result"]] == [["PER"], ["ORG"]]
    assert [region["score"] for region in prediction["result"]] == [0.9, 0.75]
    assert studio["data"] == {"text": TEXT, "reason": "why"}


def test_what_nobody_has_annotated_is_marked_by_the_model(tmp_path: Path) -> None:
    write_tasks([AnnotationTask(TEXT, None, OTHERS, "model")], tmp_path)
    found = tuple(CharSpan(*span[:3]) for span in OTHERS)
    for name in ("prodigy.jsonl", "doccano.jsonl"):
        content = json.loads((tmp_path / name).read_text(encoding="utf8"))
        spans = content.get("spans") or content["label"]
        assert [tuple(each.values() if isinstance(each, dict) else each)[:3] for each in spans] == list(found)
    assert json.loads((tmp_path / "doccano.jsonl").read_text(encoding="utf8"))["confidences"] == [0.9, 0.75]
    # A prediction is no annotation.
    assert reread(tmp_path / "label-studio.json") == []


def test_prodigy_gets_the_tokens_that_spans_are_of(tmp_path: Path) -> None:
    tokens = ((0, 4), (5, 7), (9, 13), (14, 16))
    write_tasks([AnnotationTask(TEXT, SPANS, OTHERS, "model", tokens=tokens)], tmp_path)
    task = json.loads((tmp_path / "prodigy.jsonl").read_text(encoding="utf8"))
    assert task["tokens"][0] == {"text": "Jane", "start": 0, "end": 4, "id": 0, "ws": True}
    assert [token["ws"] for token in task["tokens"]] == [True, False, True, False]
    for spans in (task["spans"], task["suggested_spans"]):
        assert [(span["token_start"], span["token_end"]) for span in spans] == [(0, 0), (2, 2)]
    assert reread(tmp_path / "prodigy.jsonl") == [(TEXT, tuple(CharSpan(*span[:3]) for span in SPANS))]


@pytest.mark.parametrize("name", FILES)
# No character twice: tools count characters, bytes or UTF-16 units, and where the same text stands at what two of them
# mean, the reader refuses to choose.
@given(
    text=st.lists(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, unique=True).map("".join), data=st.data()
)
def test_any_text(name: str, tmp_path_factory: pytest.TempPathFactory, text: str, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("tasks")
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    stripped = text[start:end] == text[start:end].strip()
    spans = (MarkedSpan(start, end, "X"),) if stripped else ()
    write_tasks([AnnotationTask(text, spans, (), "model")], folder)
    assert reread(folder / name) == [(text, tuple(CharSpan(*span[:3]) for span in spans))]
