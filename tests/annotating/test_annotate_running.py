"""A run of `annotate`: what it writes, how it goes on, what it refuses."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import spacy

from spacy_bert_ner.annotating import AnnotationError, worker
from spacy_bert_ner.annotating.output_options import OutputOptions
from spacy_bert_ner.annotating.records import InputRecord
from spacy_bert_ner.annotating.worker import AnnotationWorker, WorkerSettings
from spacy_bert_ner.storage.locking import locked
from tests.annotating.runs import (
    TEXTS,
    InlinePool,
    contents,
    make_ruler,
    numbered,
    read_lines,
    read_parts,
    run,
    write_jsonl,
)

MANY = [f"{text} {i}" for i in range(8) for text in TEXTS]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "texts.jsonl", numbered(MANY))


def test_entities_are_those_of_the_pipeline(cnn: Path, texts: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    summary = run(cnn, texts, tmp_path / "out", shard_size=20)
    nlp = spacy.load(cnn)
    documents = read_parts(tmp_path / "out")
    assert len(list((tmp_path / "out").glob("part-*.jsonl"))) == 3
    for document, record in zip(documents, numbered(MANY), strict=True):
        entities = document.pop("entities")
        assert document == record
        doc = nlp(document["text"])
        found = [(entity["start"], entity["end"], entity["label"]) for entity in entities]
        assert found == [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]
        confidences = [entity["confidence"] for entity in entities]
        assert confidences == pytest.approx([ent._.confidence for ent in doc.ents], abs=1e-4)
    assert (summary.documents, summary.failed, summary.unscored) == (len(MANY), 0, 0)
    assert sum(summary.entities.values()) == sum(len(nlp(text).ents) for text in MANY) > 50
    assert summary.words == sum(len(nlp.make_doc(text)) for text in MANY)


@pytest.mark.parametrize("workers", [1, 3, 9])
def test_bytes_do_not_depend_on_the_workers(
    cnn: Path, texts: Path, tmp_path: Path, pools: list[InlinePool], workers: int
) -> None:
    run(cnn, texts, tmp_path / "two", workers=2, shard_size=7)
    run(cnn, texts, tmp_path / "other", workers=workers, shard_size=7)
    assert contents(tmp_path / "two") == contents(tmp_path / "other")
    # No more than there are shards.
    assert pools[1].started == min(workers, 7)


def test_options_choose_entities_and_fields(cnn: Path, texts: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    run(cnn, texts, tmp_path / "all")
    run(cnn, texts, tmp_path / "some", labels=["PER"], min_confidence=0.3, fields=["meta"], entities_field="spans")
    for document, other in zip(read_parts(tmp_path / "all"), read_parts(tmp_path / "some"), strict=True):
        kept = [each for each in document["entities"] if each["label"] == "PER" and each["confidence"] >= 0.3]
        assert other == {"id": document["id"], "meta": document["meta"], "spans": kept}


def test_an_entity_without_a_confidence_is_kept_and_counted(
    ruler: Path, texts: Path, tmp_path: Path, pools: list[InlinePool]
) -> None:
    summary = run(ruler, texts, tmp_path / "out", min_confidence=0.5)
    assert summary.unscored == sum(summary.entities.values()) == 40
    assert read_parts(tmp_path / "out")[0]["entities"][0] == {"start": 9, "end": 12, "label": "ORG", "confidence": None}


def test_what_is_done_is_not_done_again(ruler: Path, texts: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    first = run(ruler, texts, tmp_path / "out", shard_size=5)
    before = contents(tmp_path / "out")
    again = run(ruler, texts, tmp_path / "out", shard_size=5)
    assert len(pools) == 1
    assert again.words_per_second is None
    assert {**vars(again), "words_per_second": first.words_per_second} == vars(first)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_a_damaged_shard_is_done_again(
    ruler: Path, texts: Path, tmp_path: Path, pools: list[InlinePool], damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(ruler, texts, tmp_path / "out.jsonl", shard_size=5)
    before = contents(tmp_path)
    part = tmp_path / "out.jsonl.parts" / "part-00003.jsonl"
    if damage == "removed":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:-9])
    (tmp_path / "out.jsonl").unlink()
    run(ruler, texts, tmp_path / "out.jsonl", shard_size=5)
    assert contents(tmp_path) == before
    assert pools[1].started == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": ["LOC"]}, "--labels was not given and is LOC"),
        ({"min_confidence": 0.5}, "--min-confidence was 0.0 and is 0.5"),
        ({"shard_size": 6}, "--shard-size was 5 and is 6"),
        ({"format": "spacy"}, "--format was jsonl and is spacy"),
        ({"model": "cnn"}, "file of the model bert_ner/model is new"),
        ({"text": "another"}, "input file .*texts.jsonl has changed"),
        ({"more": True}, "input file .*more.jsonl is new"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_run_that_differs_is_refused_by_name(
    ruler: Path, cnn: Path, texts: Path, tmp_path: Path, pools: list[InlinePool], changed: dict[str, Any], message: str
) -> None:
    run(ruler, texts, tmp_path / "out", shard_size=5)
    before = contents(tmp_path / "out")
    if text := changed.pop("text", None):
        write_jsonl(texts, numbered([*MANY, text]))
    more = [write_jsonl(tmp_path / "more.jsonl", numbered(TEXTS))] if changed.pop("more", None) else []
    model = cnn if changed.pop("model", None) else ruler
    with pytest.raises(AnnotationError, match=message):
        run(model, [texts, *more], tmp_path / "out", **{"shard_size": 5, **changed})
    assert contents(tmp_path / "out") == before
    run(model, [texts, *more], tmp_path / "out", **{"shard_size": 5, **changed}, fresh=True)
    assert len(pools) == 2


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"labels": ["PERSON"]}, "--labels PERSON: no component .* expected some of LOC, ORG"),
    ({"labels": []}, "--labels: no entity type"),
    ({"min_confidence": 1.5}, "--min-confidence 1.5: expected a number from 0 to 1"),
    ({"max_characters": 0}, "--max-characters 0: expected a number above 0"),
    ({"format": "xml"}, "--format xml: expected one of jsonl, parquet, spacy"),
    ({"text_files": "words"}, "--text-files words: expected one of lines, documents"),
    ({"entities_field": "text"}, "--entities-field text: also the text's"),
    ({"engine": "slurm"}, "--engine slurm: expected one of local, ray"),
    ({"workers": 0}, "--workers 0: expected a number above 0, or auto"),
    ({"ray_address": "auto"}, "--ray-address auto: with --engine local"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS, ids=lambda value: str(value)[:30])
def test_options_that_cannot_be_meant(
    ruler: Path, texts: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AnnotationError, match=message):
        run(ruler, texts, tmp_path / "out", **options)


def test_a_suffix_against_a_format(ruler: Path, texts: Path, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"--format spacy and an output that ends in \.jsonl"):
        run(ruler, texts, tmp_path / "out.jsonl", format="spacy")


def test_no_model(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="expected the folder of a spaCy pipeline, or an installed package"):
        run(tmp_path / "nowhere", texts, tmp_path / "out")


def test_what_others_wrote_is_not_touched(ruler: Path, texts: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.doc").touch()
    (tmp_path / "out.jsonl").touch()
    with pytest.raises(AnnotationError, match=r"holds notes.doc and no manifest.json"):
        run(ruler, texts, tmp_path / "out", fresh=True)
    with pytest.raises(AnnotationError, match="exists already, and not by a run that can be resumed"):
        run(ruler, texts, tmp_path / "out.jsonl", fresh=True)
    with pytest.raises(AnnotationError, match="a file of another kind, expected a folder"):
        run(ruler, texts, tmp_path / "out" / "notes.doc")


def test_one_process_at_a_time(ruler: Path, texts: Path, tmp_path: Path) -> None:
    said = "another process is writing there"
    with locked(tmp_path / "out", AnnotationError), pytest.raises(AnnotationError, match=said):
        run(ruler, texts, tmp_path / "out")


def test_an_empty_input(ruler: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    summary = run(ruler, write_jsonl(tmp_path / "none.jsonl", []), tmp_path / "out.jsonl")
    assert (summary.documents, summary.shards, pools) == (0, 0, [])
    assert (tmp_path / "out.jsonl").read_bytes() == b""


# --- texts that fail -------------------------------------------------------------------------------------------------

ABSURD: list[Any] = [
    {"id": "raises", "text": "RAISES IBM"},
    {"id": "null", "text": None},
    {"id": "number", "text": 7},
    {"id": "other field", "body": "IBM"},
    {"id": "surrogate", "text": "IBM \ud800"},
    {"id": "taken", "text": "IBM", "entities": []},
    b"no JSON",
    b"[1, 2]",
    b'{"text": "\xff"}',
    b'{"text": "cut',
    b'{"text": "deep", "meta": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"text": "deep", "meta": ' + b"[" * 300 + b"]" * 300 + b"}",
    b'{"text": "number", "meta": ' + b"9" * 5000 + b"}",
]
ERRORS = [
    "ValueError: cannot read 'RAISES IBM'",
    "field text is null, expected text",
    "field text is of type int, expected text",
    "no field text among id, body: name it with --text-field",
    "field text holds half of a surrogate pair at 4, expected Unicode: export it again",
    "a field entities exists already: name another with --entities-field, or leave it out with --fields",
    "no JSON: Expecting value at character 1, expected one object",
    "JSON of type list, expected one object",
    "no UTF-8: byte 0xff at 10, expected UTF-8: convert the file",
    "no JSON: Unterminated string starting at at character 10, expected one object",
    "JSON nested deeper than 100 levels, expected less",
    "JSON nested deeper than 100 levels, expected less",
    "JSON that cannot be read: Exceeds the limit (4300 digits) for integer string conversion",
]
# Odd, and annotated all the same.
ODD = ["x" * 200_000, "\x00\x07", "IBM " * 20_000, "\u202eIBM\u202c", "𒀀" * 3000]


def test_failures_are_written_and_the_rest_goes_on(
    ruler: Path, texts: Path, tmp_path: Path, pools: list[InlinePool]
) -> None:
    records: list[Any] = [*numbered(MANY), *ABSURD, *numbered(ODD)]
    random.Random(0).shuffle(records)
    summary = run(ruler, write_jsonl(tmp_path / "mixed.jsonl", records), tmp_path / "out", shard_size=9)
    assert (summary.documents, summary.failed) == (len(MANY) + len(ODD), len(ABSURD))
    good = [record for record in records if record not in ABSURD]
    documents = read_parts(tmp_path / "out")
    assert [document["text"] for document in documents] == [record["text"] for record in good]
    failures = read_lines(tmp_path / "out" / "failed.jsonl")
    assert sorted(
        " ".join(each["error"].split(" while")[0].split(": value")[0].split("; ")[0].split()) for each in failures
    ) == sorted(ERRORS)
    for failure in failures:
        line = int(failure["place"].rpartition(":")[2])
        record = records[line - 1]
        if not isinstance(record, bytes):
            assert failure["record"] == record
    # The rest is as it is without them.
    run(ruler, texts, tmp_path / "alone")
    alone = {json.dumps([each["id"], each["text"]]): each for each in read_parts(tmp_path / "alone")}
    both = [each for each in documents if json.dumps([each["id"], each["text"]]) in alone]
    assert len(both) == len(MANY)
    assert all(each == alone[json.dumps([each["id"], each["text"]])] for each in both)


def test_failed_texts_can_be_tried_again(
    ruler: Path, tmp_path: Path, pools: list[InlinePool], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered([*MANY, "RAISES IBM", *MANY, "RAISES again", *MANY]))
    run(ruler, texts, tmp_path / "out.jsonl", shard_size=10)
    assert len(read_lines(tmp_path / "out.jsonl")) == 3 * len(MANY)
    # A pipeline whose fault is outside of it: the same files.
    monkeypatch.setattr("tests.annotating.trouble.Doc", None)
    monkeypatch.setattr(
        AnnotationWorker, "_alone", lambda self, text, i: self._nlp.get_pipe("entity_ruler")(text.docs[i])
    )
    summary = run(ruler, texts, tmp_path / "out.jsonl", shard_size=10, retry_failed=True)
    assert summary.failed == 0
    assert not (tmp_path / "out.jsonl.parts" / "failed.jsonl").exists()
    assert [each["id"] for each in read_lines(tmp_path / "out.jsonl")] == [*range(3 * len(MANY) + 2)]


def test_retrying_what_fails_again_changes_nothing(ruler: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered([*MANY, "RAISES IBM"]))
    run(ruler, texts, tmp_path / "out", shard_size=10)
    before = contents(tmp_path / "out")
    run(ruler, texts, tmp_path / "out", shard_size=10, retry_failed=True)
    assert contents(tmp_path / "out") == before
    assert pools[1].started == 1


def test_a_run_in_which_all_fails_stops(ruler: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    texts = write_jsonl(tmp_path / "texts.jsonl", [{"body": text} for text in MANY])
    with pytest.raises(AnnotationError, match=r"All of the first 48 texts failed, .*texts.jsonl:1 with: no field text"):
        run(ruler, texts, tmp_path / "out")
    summary = run(ruler, texts, tmp_path / "out", text_field="body", fresh=True)
    assert summary.failed == 0


def test_a_pipeline_that_cannot_be_loaded(tmp_path: Path, texts: Path, pools: list[InlinePool]) -> None:
    make_ruler().to_disk(tmp_path / "model")
    config = (tmp_path / "model" / "config.cfg").read_text(encoding="utf8")
    (tmp_path / "model" / "config.cfg").write_text(config.replace('"trouble"', '"unheard_of"'), encoding="utf8")
    with pytest.raises(AnnotationError, match=r"A worker failed: ValueError: .*unheard_of"):
        run(tmp_path / "model", texts, tmp_path / "out")


def test_long_texts_are_cut_and_offsets_put_back(ruler: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    long = "".join(f"Jane {i} met IBM in Paris.{' ' if i % 3 else chr(10)}" for i in range(100))
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered(["IBM", long]))
    for name in ("out.jsonl", "out.spacy"):
        run(ruler, texts, tmp_path / name, max_characters=90)
    _, document = read_lines(tmp_path / "out.jsonl")
    assert document["text"] == long
    found = [(long[each["start"] : each["end"]], each["label"]) for each in document["entities"]]
    assert found == [("IBM", "ORG"), ("Paris", "LOC")] * 100
    docs = list(spacy.tokens.DocBin().from_disk(tmp_path / "out.spacy").get_docs(spacy.blank("en").vocab))
    assert docs[1].text == long
    assert [(ent.text, ent.label_) for ent in docs[1].ents] == found


def test_a_worker_keeps_the_words_of_its_first_shard_alone(ruler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed: list[int] = []
    monkeypatch.setattr(worker, "TRIM_AFTER", 5)
    monkeypatch.setattr(worker, "trim_memory", lambda: trimmed.append(len(done)))
    annotator = AnnotationWorker(WorkerSettings(str(ruler), OutputOptions()))
    strings = annotator._nlp.vocab.strings
    done: list[str] = []
    for number, word in enumerate(("Firstword", "Secondword", "Thirdword")):
        record = InputRecord(f"texts.jsonl:{number}", {"text": f"{word} met IBM ."})
        assert annotator.annotate(number, [record], {}, one_by_one=False).words == 4
        done.append(word)
    assert [word in strings for word in done] == [True, False, False]
    # After eight words, and not after twelve.
    assert trimmed == [1]
