"""`convert`: exports of annotation tools, whole and broken."""

import json
from pathlib import Path
from typing import Any

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import DocBin
from spacy.training import offsets_to_biluo_tags
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.commands.convert import falls_to_dev
from spacy_bert_ner.data import CorpusError
from spacy_bert_ner.data.aligning import MISALIGNED, align
from spacy_bert_ner.data.exports import AnnotatedText, CharSpan
from spacy_bert_ner.data.formats import read_file
from spacy_bert_ner.data.notes import Notes

TEXT = "Ada met 🎉 Bob in Rome."
SHAPES: dict[str, Any] = {
    "prodigy": {"text": TEXT, "spans": [{"start": 0, "end": 3, "label": "PER"}], "answer": "accept"},
    "doccano": {"text": TEXT, "label": [[0, 3, "PER"]]},
    "doccano-relations": {"text": TEXT, "entities": [{"id": 1, "start_offset": 0, "end_offset": 3, "label": "PER"}]},
    "label-studio": {
        "data": {"text": TEXT},
        "annotations": [{"result": [{"type": "labels", "value": {"start": 0, "end": 3, "labels": ["PER"]}}]}],
    },
    "label-studio-min": {"text": TEXT, "label": [{"start": 0, "end": 3, "labels": ["PER"]}]},
}


def convert(*args: Any) -> Any:
    return CliRunner().invoke(bert_ner_cli, ["convert", *map(str, args)])


def export(path: Path, *records: Any) -> Path:
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf8")
    return path


def load(path: Path) -> list[Any]:
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_tools_shape(shape: str, array: bool, tmp_path: Path) -> None:
    record = [SHAPES[shape]] if array else SHAPES[shape]
    assert convert(export(tmp_path / "in.jsonl", record), tmp_path / "new" / "out.spacy").exit_code == 0
    (doc,) = load(tmp_path / "new" / "out.spacy")
    assert doc.text == TEXT
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Ada", "PER")]
    assert {token.ent_iob_ for token in doc[1:]} == {"O"}


def test_offsets_count_code_points_unless_the_spans_text_says_utf16(tmp_path: Path) -> None:
    bob = TEXT.index("Bob")
    for first in (bob, bob + 1):
        span = {"start": first, "end": first + 3, "text": "Bob", "labels": ["PER"]}
        (read,) = read_file(export(tmp_path / "in.jsonl", {"text": TEXT, "label": [span]})).texts
        assert read.spans == ((bob, bob + 3, "PER"),)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ([1], "found int"),
        ({"text": "Ada"}, "found the keys 'text'"),
        ({"text": "Ada", "label": "positive"}, "expected a list"),
        ({"text": 3, "spans": []}, "found no text"),
        ({"text": "Ada", "spans": [{"start": 0, "end": 9, "label": "PER"}]}, "a text of 3 characters"),
        ({"text": "Ada", "spans": [{"start": 1, "end": 1, "label": "PER"}]}, "1 to 1"),
        ({"text": "Ada", "label": [[-1, 2, "PER"]]}, "-1 to 2"),
        ({"text": "Ada", "label": [[False, 2, "PER"]]}, "expected first and last character"),
        ({"text": "Ada", "label": [[0, 2, ""]]}, "expected first and last character"),
        ({"text": "Ada", "label": [[0, 2]]}, "expected first and last character"),
        (
            {"text": "Ada", "label": [{"start": 0, "end": 3, "labels": ["A", "B"]}]},
            "'Ada' (A, 0 to 3) and 'Ada' (B, 0 to 3)",
        ),
        ({"text": "Ada L", "label": [[0, 3, "PER"], [2, 5, "PER"]]}, "'Ada' (PER, 0 to 3) and 'a L' (PER, 2 to 5)"),
        ({"text": "\ud83d", "label": []}, "half of a surrogate pair"),
        ({"data": {"text": "Ada"}, "annotations": [{}]}, "than Label Studio writes"),
        ({"data": {"text": "Ada"}, "annotations": 3}, "than Label Studio writes"),
    ],
)
def test_wrong_records_get_one_error_that_says_where(record: Any, said: str, tmp_path: Path) -> None:
    records = [record] if isinstance(record, list) else [SHAPES["doccano"], record]
    path = export(tmp_path / "in.jsonl", *records)
    with pytest.raises(CorpusError) as error:
        read_file(path)
    assert said in str(error.value)
    assert str(error.value).startswith(f"{path}:{'#1' if isinstance(record, list) else 2}: ")
    assert convert(path, tmp_path / "out.spacy").exit_code == 1
    assert not (tmp_path / "out.spacy").exists()


def test_what_nobody_annotated_is_left_out(tmp_path: Path) -> None:
    cancelled = {"data": {"text": "x"}, "annotations": [{"was_cancelled": True, "result": []}]}
    records = [{**SHAPES["prodigy"], "answer": answer} for answer in ("reject", "ignore")]
    empty = {"text": "nobody here", "annotation_id": 7}
    path = export(tmp_path / "in.jsonl", *records, cancelled, {"text": "x", "spans": None}, empty)
    assert [(read.text, read.spans) for read in read_file(path).texts] == [("nobody here", ())]


def test_partial_stays_missing_and_misaligned_is_listed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    record = {"text": "Ada met Robert in Rome", "label": [[0, 3, "PER"], [8, 11, "PER"], [17, 22, "LOC"]]}
    path = export(tmp_path / "in.jsonl", record)
    outside = " ".join((convert(path, tmp_path / "out.spacy").output + capfd.readouterr().out).split())
    assert f"{path}:1: 'Rob' (PER, 8 to 11); tokens there: Robert" in outside
    assert [token.ent_iob_ for token in load(tmp_path / "out.spacy")[0]] == ["B", "O", "", "O", "B"]
    assert load(tmp_path / "out.spacy")[0].ents[1].text == "Rome"
    assert convert(path, tmp_path / "out.spacy", "--partial").exit_code == 0
    assert [token.ent_iob_ for token in load(tmp_path / "out.spacy")[0]] == ["B", "", "", "", "B"]


def test_dev_share_is_stable_and_never_parts_twins(tmp_path: Path) -> None:
    records = [{"text": f"text {i}", "label": []} for i in range(40)]
    path = export(tmp_path / "in.jsonl", *records, *records)
    assert convert(path, tmp_path / "out", "--dev-share", 0.3).exit_code == 0
    train, dev = ({doc.text for doc in load(tmp_path / "out" / f"{name}.spacy")} for name in ("train", "dev"))
    assert len(train) + len(dev) == 40
    assert train.isdisjoint(dev)
    assert all(falls_to_dev(text, 0.5) for text in dev)
    one = export(tmp_path / "one.jsonl", records[0])
    assert convert(one, tmp_path / "few", "--dev-share", 0.3).exit_code == 1
    assert not (tmp_path / "few").exists()


def test_column_files(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.conll").write_text("Ada B-PER\nran O\n", encoding="utf8")
    assert convert(tmp_path / "dev.conll", tmp_path / "one.spacy").exit_code == 0
    assert convert(tmp_path, tmp_path / "all").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["dev.spacy", "test.spacy", "train.spacy"]
    assert [ent.text for ent in load(tmp_path / "one.spacy")[0].ents] == ["Ada"]
    assert convert(tmp_path / "dev.conll", tmp_path / "all").exit_code == 1
    assert convert(tmp_path / "dev.conll", tmp_path / "x.spacy", "--partial").exit_code == 0
    assert [token.ent_iob_ for token in load(tmp_path / "x.spacy")[0]] == ["B", ""]
    assert convert(tmp_path, tmp_path / "x", "--partial").exit_code == 0
    assert [token.ent_iob_ for token in load(tmp_path / "x" / "test.spacy")[0]] == ["B", ""]


NLP = spacy.blank("en")


@given(st.text("Ab 🎉.\n", max_size=12), st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4)), max_size=3))
@settings(max_examples=80)
def test_entities_are_those_of_spacys_own_alignment(text: str, drawn: list[tuple[int, int]]) -> None:
    spans, last = [], 0
    for gap, length in drawn:
        if last + gap + length <= len(text):
            spans.append((last + gap, last + gap + length, "X"))
            last += gap + length
    spans = [span for span in spans if text[slice(*span[:2])] == text[slice(*span[:2])].strip()]
    notes = Notes()
    (doc,) = align(NLP, [AnnotatedText("f:1", text, tuple(CharSpan(*span) for span in spans))], notes)
    aligned = [span for span in spans if doc.char_span(*span[:2]) is not None]
    assert [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents] == aligned
    places = dict(notes.lines()).get(MISALIGNED.format(n=len(spans) - len(aligned)), [])
    assert len(places) == len(spans) - len(aligned)
    gold = offsets_to_biluo_tags(NLP.make_doc(text), aligned)
    touched = {t.i for s in spans if s not in aligned for t in doc.char_span(*s[:2], alignment_mode="expand") or ()}
    for token, tag in zip(doc, gold, strict=True):
        assert token.ent_iob_ == ("" if token.i in touched and tag == "O" else {"U": "B", "L": "I"}.get(tag[0], tag[0]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["text", "spans", "label", "data", "annotations", "result", "value", "start", "end", "labels"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
@settings(max_examples=100)
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = export(tmp_path_factory.getbasetemp() / "any.jsonl", value)
    refused = str(path)
    try:
        for read in read_file(path).texts:
            assert all(0 <= start < end <= len(read.text) for start, end, _ in read.spans)
    except CorpusError as error:
        refused = str(error)
    assert refused.startswith(str(path))
