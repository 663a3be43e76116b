"""Random documents, exported as each tool writes them: convert gives the entities back, or lists them."""

import json
from collections.abc import Callable
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_bert_ner.data.aligning import align
from spacy_bert_ner.data.formats import read_file

NLP = spacy.blank("xx")


class Drawn(NamedTuple):
    """A text and its entities: first character, the one after the last, type."""

    text: str
    entities: list[tuple[int, int, str]]


WORDS = st.one_of(
    st.sampled_from(["a", "Ann", "Bob", "🎉"]),
    st.sampled_from(["👩\u200d👧", "🇳🇴", "é", "e\u0301", "ก็", "\U00010400", "<b>", "&amp;", "ab\u0301"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=3),
).filter(lambda word: not any(character.isspace() for character in word))
BLANKS = st.sampled_from([" ", " ", "\r\n", "\r\n\r\n", "\n", "\t", "  ", " \r\n\t", "\xa0", "\r", "\u2028"])


@st.composite
def documents(draw: st.DrawFn) -> Drawn:
    words = draw(st.lists(st.tuples(WORDS, BLANKS), min_size=1, max_size=8))
    text = draw(st.sampled_from(["", " ", "\r\n", "\n\n"]))
    places = []
    for word, blank in words:
        places.append((len(text), len(text) + len(word)))
        text += word + blank
    cuts = sorted(draw(st.sets(st.integers(0, len(places)), max_size=6)))
    runs = [run for run in pairwise(cuts) if draw(st.booleans())]
    entities = [(places[i][0], places[j - 1][1], draw(st.sampled_from(["PER", "LOC"]))) for i, j in runs]
    return Drawn(text, entities)


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def browser(text: str) -> int:
    return utf16(text.replace("\r\n", "\n"))


def bare_line_feeds(text: str) -> int:
    return text.count("\n") - text.count("\r\n")


def prodigy(drawn: Drawn) -> Any:
    spans = [{"start": start, "end": end, "label": label} for start, end, label in drawn.entities]
    return {"text": drawn.text, "spans": spans, "answer": "accept", "_view_id": "ner_manual"}


def doccano(drawn: Drawn) -> Any:
    return {"id": 1, "text": drawn.text, "label": [list(entity) for entity in drawn.entities]}


def doccano_relations(drawn: Drawn) -> Any:
    keys = ("start_offset", "end_offset", "label")
    return {"text": drawn.text, "entities": [dict(zip(keys, e, strict=True)) for e in drawn.entities], "relations": []}


def spacy_pair(drawn: Drawn) -> Any:
    return [drawn.text, {"entities": drawn.entities}]


def spacy_json(drawn: Drawn) -> Any:
    ents = [{"start": start, "end": end, "label": label} for start, end, label in drawn.entities]
    return {"text": drawn.text, "ents": ents, "tokens": []}


def ner_annotator(count: Callable[[str], int]) -> Callable[[Drawn], Any]:
    def export(drawn: Drawn) -> Any:
        text = drawn.text
        entities = [[count(text[:start]), count(text[:end]), label] for start, end, label in drawn.entities]
        return {"classes": ["PER", "LOC"], "annotations": [[text, {"entities": entities}]]}

    return export


def label_studio(count: Callable[[str], int], short: bool = False) -> Callable[[Drawn], Any]:
    def export(drawn: Drawn) -> Any:
        text = drawn.text
        values = [
            {
                "start": count(text[:start]),
                "end": count(text[:end]),
                "text": text[start:end].replace("\r\n", "\n"),
                "labels": [label],
            }
            for start, end, label in drawn.entities
        ]
        if short:
            return {"id": 1, "text": text, "label": values, "annotation_id": 1}
        return {"data": {"text": text}, "annotations": [{"result": [{"type": "labels", "value": v} for v in values]}]}

    return export


# How a tool writes a document, and whether all entities must come back.
TOOLS: dict[str, tuple[Callable[[Drawn], Any], bool]] = {
    "Prodigy": (prodigy, True),
    "doccano": (doccano, True),
    "doccano with relations": (doccano_relations, True),
    "spaCy": (spacy_pair, True),
    "doc.to_json": (spacy_json, True),
    "NER Annotator": (ner_annotator(utf16), False),
    "NER Annotator's first version": (ner_annotator(len), False),
    "Label Studio": (label_studio(browser), False),
    "Label Studio, UTF-16": (label_studio(utf16), False),
    "Label Studio's SDK": (label_studio(len), False),
    "Label Studio, line feeds as two": (label_studio(lambda text: len(text) + bare_line_feeds(text)), False),
    "Label Studio, bytes": (label_studio(lambda text: len(text.encode())), False),
    "Label Studio, JSON-MIN": (label_studio(browser, short=True), False),
}


@pytest.mark.parametrize("tool", TOOLS)
@given(drawn=documents())
@settings(max_examples=60)
def test_entities_come_back_or_are_listed(tool: str, drawn: Drawn, tmp_path_factory: pytest.TempPathFactory) -> None:
    export, exact = TOOLS[tool]
    path = tmp_path_factory.getbasetemp() / "export.jsonl"
    path.write_text(json.dumps(export(drawn), ensure_ascii=False) + "\n", encoding="utf8", newline="")
    contents = read_file(path)
    (read,) = contents.texts
    assert read.text == drawn.text
    found = set(read.spans)
    missing = [entity for entity in drawn.entities if entity not in found]
    if exact:
        assert missing == []
    listed = [place for _, places in contents.notes.lines() for place in places]
    assert len(listed) == len(missing)
    # What was not read is not believed anywhere else, and nobody is taught that nothing is there.
    assert found <= set(drawn.entities)
    (doc,) = align(NLP, [read], contents.notes)
    for start, end, _ in drawn.entities:
        touched = doc.char_span(start, end, alignment_mode="expand")
        assert [token.text for token in touched if token.ent_iob_ == "O"] == []
    assert doc.text == drawn.text


# Each word once, so that nothing but its place is it.
NUMBERED = st.sampled_from(["a{}", "🎉{}", "e\u0301{}", "<{}>", "&amp;{}"])
PARAGRAPHS = st.lists(st.lists(NUMBERED, min_size=1), min_size=1)
HTML_BLANKS, TAGS = st.sampled_from([" ", "\r\n", "\t", "\n\n"]), st.sampled_from(["p", "li", "b", "br"])


def numbered(drawn: list[list[str]], blank: str) -> list[tuple[str, str]]:
    """Paragraphs, and the word of each that is an entity, the last one."""
    paragraphs = [[word.format(10 * i + 7) for word in words] for i, words in enumerate(drawn)]
    last = [f"{words[-1]}x{i}" for i, words in enumerate(paragraphs)]
    return [(blank.join([*words[:-1], word]), word) for words, word in zip(paragraphs, last, strict=True)]


@given(drawn=PARAGRAPHS, blank=HTML_BLANKS, tag=TAGS)
@settings(max_examples=60)
def test_html(drawn: list[list[str]], blank: str, tag: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    markup, shown, values = "", "", []
    for text, word in numbered(drawn, blank):
        markup += f"<{tag}>{escape(text)}" + (f"</{tag}>" if tag != "br" else "")
        shown += text
        offsets = {"start": browser(shown[: -len(word)]), "end": browser(shown)}
        values.append({"start": "/p[1]", "globalOffsets": offsets, "text": word, "hypertextlabels": ["A"]})
    path = tmp_path_factory.getbasetemp() / "export.json"
    results = [{"type": "hypertextlabels", "value": value} for value in values]
    path.write_text(json.dumps([{"data": {"page": markup}, "annotations": [{"result": results}]}]), encoding="utf8")
    (read,) = read_file(path).texts
    assert [read.text[start:end] for start, end, _ in read.spans] == [value["text"] for value in values]
    assert "".join(read.text.split()) == "".join(shown.split())


@given(drawn=PARAGRAPHS, blank=st.sampled_from([" ", "\r\n", "\n"]), globally=st.booleans())
@settings(max_examples=60)
def test_dialogues(
    drawn: list[list[str]], blank: str, globally: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    talk, shown = [], ""
    results: list[dict[str, Any]] = []
    for i, (text, word) in enumerate(numbered(drawn, blank)):
        talk.append({"who": "B", "said": text})
        shown += text
        value: dict[str, Any] = {
            "start": str(i),
            "end": str(i),
            "startOffset": browser(text[: -len(word)]),
            "endOffset": browser(text),
        }
        if globally:
            value = {"globalOffsets": {"start": browser(shown[: -len(word)]), "end": browser(shown)}}
        results.append({"type": "paragraphlabels", "value": {**value, "text": word, "paragraphlabels": ["A"]}})
    path = tmp_path_factory.getbasetemp() / "export.json"
    path.write_text(json.dumps([{"data": {"talk": talk}, "annotations": [{"result": results}]}]), encoding="utf8")
    (read,) = read_file(path).texts
    assert [read.text[start:end] for start, end, _ in read.spans] == [r["value"]["text"] for r in results]
    assert read.text == "\n".join(turn["said"] for turn in talk)
