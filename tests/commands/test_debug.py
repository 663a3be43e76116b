"""`debug`: every fault of a corpus is named, with its place."""

import json
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.inspection import describe_plan, inspect_plan
from spacy_bert_ner.inspection.annotation import tag_like
from spacy_bert_ner.training.plan import plan_steps
from spacy_bert_ner.training.recipes import SMALL
from tests.scenarios import LISTENER, make_pipeline

CONFIG = Path(__file__).parents[2] / "spacy_bert_ner" / "bert.cfg"
NLP = spacy.blank("en")


def doc(text: str, *spans: tuple[int, int, str], words: list[str] | None = None, default: str = "outside") -> Doc:
    made = NLP.make_doc(text) if words is None else Doc(NLP.vocab, words=words, spaces=[False] * len(words))
    made.set_ents([Span(made, start, end, label=label) for start, end, label in spans], default=default)
    return made


def save(path: Path, *docs: Doc) -> Path:
    DocBin(attrs=["ENT_IOB", "ENT_TYPE", "SENT_START"], docs=docs).to_disk(path)
    return path


def kinds(found: dict[str, Any]) -> set[str]:
    return {finding["kind"] for finding in found["findings"]}


def debug(
    tmp_path: Path, encoder: Path, train: list[Doc], dev: list[Doc], *more: str, config: Path = CONFIG
) -> tuple[int, dict[str, Any]]:
    paths = ["--paths.train", save(tmp_path / "train.spacy", *train), "--paths.dev", save(tmp_path / "dev.spacy", *dev)]
    args = ["debug", config, "--json", tmp_path / "out.json", *paths, "--paths.encoder", encoder, *more]
    result = CliRunner().invoke(bert_ner_cli, list(map(str, args)))
    return result.exit_code, json.loads((tmp_path / "out.json").read_text(encoding="utf8"))


def test_each_fault_is_named_with_its_place(tmp_path: Path, tiny_bert: Path) -> None:
    good = doc("Jane met IBM", (0, 1, "PER"), (2, 3, "ORG"))
    edge, inside = doc("met Jane  now", (1, 3, "PER")), doc("met Jane  Smith", (1, 4, "PER"))
    # The pipeline's tokenizer makes one token of "IBMs".
    misaligned = doc("", (0, 1, "ORG"), words=["IBM", "s"])
    long = doc(f"{'zq' * 50} {'qz' * 50}", (0, 2, "PER"))
    partial = doc("Paris met", (0, 1, "LOC"), default="missing")
    across = doc("He met. Jane", (2, 4, "PER"))
    across[3].is_sent_start = True
    train = [good, edge, inside, misaligned, long, partial, good, across]
    code, found = debug(tmp_path, tiny_bert, train, [good, doc("Monday", (0, 1, "DATE"))], "--no-timing")
    assert code == 0
    places = {finding["kind"]: finding["places"] for finding in found["findings"]}
    where = {kind: [(p["split"], p["document"], p.get("tokens")) for p in listed] for kind, listed in places.items()}
    assert where == {
        "label_not_in_train": [],
        "label_not_in_dev": [],
        "few_examples": [],
        "missing": [],
        "misaligned": [("train", 3, [0, 1])],
        "whitespace_edge": [("train", 1, [1, 3])],
        "whitespace_inside": [("train", 2, [1, 4])],
        "across_sentences": [("train", 7, [2, 4])],
        "longer_than_window": [("train", 4, [0, 2])],
        "duplicates_between": [("dev", 0, None)],
        "duplicates_within": [("train", 6, None)],
    }
    assert places["whitespace_edge"][0]["characters"] == [4, 10]
    assert places["longer_than_window"][0]["pieces"] == 200
    assert found["counts"]["train"]["labels"] == {"PER": 6, "ORG": 3, "LOC": 1}
    assert found["timing"] == {}


def test_a_dev_set_without_entities_is_warned_of_once(tmp_path: Path, tiny_bert: Path) -> None:
    code, found = debug(tmp_path, tiny_bert, [doc("a b", (0, 1, "X"))], [doc("c")], "--no-timing")
    assert code == 0
    assert kinds(found) == {"few_examples", "no_dev_entities"}


@pytest.mark.parametrize(
    ("train", "dev", "warned"),
    [
        ("Jane met IBM", "Jane met IBM " * 19, False),
        ("Jane met IBM", "Jane met IBM " * 20, True),
        ("Jane met IBM " * 6, "Jane met IBM " * 20, False),
    ],
)
def test_single_sentences_beside_a_dev_set_of_documents_are_warned_of(
    train: str, dev: str, warned: bool, tmp_path: Path, tiny_bert: Path
) -> None:
    docs = [doc(f"{train} {i}", (0, 1, "PER")) for i in range(60)]
    code, found = debug(tmp_path, tiny_bert, docs, [doc(dev.strip(), (0, 1, "PER"))], "--no-timing")
    assert code == 0
    assert kinds(found) == ({"shorter_in_train"} if warned else set())


def test_the_second_form_of_a_document_counts_only_where_tokens_are_compared(tmp_path: Path, tiny_bert: Path) -> None:
    # Spaces unknown: the tokenizer's tokens are in the second form alone.
    lost = Doc(NLP.vocab, words=["Jane", "met", "IBM", "'", "ers"])
    lost.set_ents([Span(lost, 0, 1, "PER"), Span(lost, 2, 3, "ORG")], default="outside")
    cut = Doc(NLP.vocab, words=["IB", "M-man"], spaces=[False, False])
    cut.set_ents([Span(cut, 0, 1, "ORG")], default="outside")
    code, found = debug(tmp_path, tiny_bert, [lost, cut], [doc("Ann", (0, 1, "PER"))], "--no-timing")
    assert code == 0
    assert kinds(found) == {"few_examples", "label_not_in_dev", "misaligned"}
    (places,) = (finding["places"] for finding in found["findings"] if finding["kind"] == "misaligned")
    assert [(p["split"], p["document"], p["tokens"], p["text"]) for p in places] == [("train", 1, [0, 1], "IB")]
    assert found["counts"]["train"] == {"documents": 2, "tokens": 7, "missing": 0, "labels": {"ORG": 2, "PER": 1}}
    assert found["pieces"]["train"]["windows_per_document"] == 1


@pytest.mark.parametrize(
    ("train", "dev", "expected"),
    [
        ([doc("a b")], [doc("c", (0, 1, "X"))], {"initialize", "no_entities", "label_not_in_train"}),
        ([doc("a b", (0, 1, "X"))], [doc("c", default="missing")], {"no_annotation", "few_examples"}),
        ([doc("a b", (0, 1, "X"))], [], {"empty", "few_examples"}),
    ],
)
def test_what_makes_training_fail_is_an_error(
    tmp_path: Path, tiny_bert: Path, train: list[Doc], dev: list[Doc], expected: set[str]
) -> None:
    code, found = debug(tmp_path, tiny_bert, train, dev)
    assert code == 1
    assert kinds(found) == expected


@pytest.mark.parametrize(
    ("labels", "like_tags"),
    [
        (["B-LOC", "B-PER", "I-PER"], ["B-LOC", "B-PER", "I-PER"]),
        (["PER-B", "PER-I"], ["PER-B", "PER-I"]),
        (["S_PER", "E_PER", "DATE"], ["E_PER", "S_PER"]),
        (["B-PER", "PER", "O"], ["B-PER", "O"]),
        (["A-X", "B-X/ORG & Co", "Ort <b>"], []),
        (["A-X", "B-X", "PER"], []),
        (["B-X"], []),
        (["PER", "LOC", "E", "I"], []),
        ([], []),
    ],
)
def test_labels_that_are_tags_are_told_from_types(labels: list[str], like_tags: list[str]) -> None:
    assert tag_like(labels) == like_tags


def test_labels_that_are_tags_are_warned_of(tmp_path: Path, tiny_bert: Path) -> None:
    tagged = [doc(f"Jane Smith met {i}", (0, 1, "B-PER"), (1, 2, "I-PER")) for i in range(60)]
    code, found = debug(tmp_path, tiny_bert, tagged, tagged[:1], "--no-timing")
    assert code == 0
    assert "label_like_tag" in kinds(found)


def test_time_and_memory_are_measured(tmp_path: Path, tiny_bert: Path) -> None:
    train = [doc(f"Jane met IBM {i}", (0, 1, "PER")) for i in range(60)]
    code, found = debug(tmp_path, tiny_bert, train, [doc("Jane", (0, 1, "PER"))], "--training.batcher.size", "50")
    assert code == 0
    assert found["findings"] == []
    times = found["timing"]
    assert times["updates_timed"] == 2
    assert times["steps_per_epoch"] >= 4
    assert times["epoch_seconds"] > 0
    assert times["run_seconds"] > times["epoch_seconds"]
    assert 0 < times["evaluations_share"] < 1
    assert times["peak_memory_bytes"]["main"] > 2**20
    assert found["pieces"]["train"]["pieces_per_word"] >= 1


def test_a_run_without_an_end_is_not_too_short() -> None:
    endless = {"max_steps": 0, "max_epochs": 0, "eval_frequency": 7, "patience": 0}
    plan = describe_plan(endless, 3)
    assert plan == {"steps": None, "steps_per_epoch": 3, "evaluation_interval": 7, "patience": None}
    assert inspect_plan(plan) == []


@pytest.mark.parametrize(("steps", "epochs", "warned"), [(99, 0, True), (100, 0, False), (500, 1, True)])
def test_too_few_updates_are_named_and_the_plan_is_said(
    steps: int, epochs: int, warned: bool, tmp_path: Path, tiny_bert: Path
) -> None:
    settings = {"training.max_steps": steps, "training.max_epochs": epochs, "training.eval_frequency": 7}
    given = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    _, found = debug(tmp_path, tiny_bert, GOOD, DEV, "--no-timing", "--training.patience", "40", *given)
    assert ("few_updates" in kinds(found)) == warned
    # Each of the 60 documents in both forms, of 4 words each, in batches of 200.
    expected = 3 if epochs else steps
    assert found["plan"] == {"steps": expected, "steps_per_epoch": 3, "evaluation_interval": 7, "patience": 40}


def test_what_init_config_plans_for_a_few_sentences_is_enough(tmp_path: Path, tiny_bert: Path) -> None:
    _, found = debug(tmp_path, tiny_bert, GOOD[:3], DEV, "--no-timing")
    assert found["plan"]["steps"] >= 100
    assert "few_updates" not in kinds(found)


GOOD = [doc(f"Jane met IBM {i}", (0, 1, "PER"), (2, 3, "ORG")) for i in range(60)]
DEV = [doc("Jane met IBM", (0, 1, "PER"), (2, 3, "ORG"))]


def faulty(config: Path, settings: dict[str, Any], path: Path) -> Path:
    # What is sourced says nothing of an encoder that could decide them.
    closed = SMALL.overrides() | plan_steps(1, 300, 3).overrides()
    changed = spacy.util.load_config(config, overrides=closed, interpolate=False)
    for key, value in settings.items():
        section, _, name = key.rpartition(".")
        spacy.util.dot_to_object(changed, section)[name] = value
    changed.to_disk(path)
    return path


@pytest.mark.parametrize(
    ("settings", "expected", "said", "code"),
    [
        ({"components.bert_ner.model.tok2vec": LISTENER}, {"initialize"}, "can be listened to are none", 1),
        ({"nlp.pipeline": []}, {"no_component"}, "holds no bert_ner", 1),
        ({"initialize.components": {"bert_ner": {"labels": ["ORG", "PER", "LOC"]}}}, {"label_unused"}, "LOC", 0),
        ({"initialize.components": {"bert_ner": {"labels": ["ORG"]}}}, {"label_unknown"}, "PER", 1),
        (
            {"training.batcher.discard_oversize": True, "training.batcher.size": 2},
            {"discarded"},
            "60 of 60 documents",
            1,
        ),
        ({"components.bert_ner.model.tok2vec.window": 1000}, {"initialize"}, "window = 1000 does not suit", 1),
        ({"corpora.dev.path": "nowhere.spacy"}, {"corpus"}, "nowhere.spacy", 1),
        ({"training.accumulate_gradient": 3}, set(), "", 0),
    ],
)
def test_faults_of_the_config(
    tmp_path: Path, tiny_bert: Path, settings: dict[str, Any], expected: set[str], said: str, code: int
) -> None:
    config = faulty(CONFIG, settings, tmp_path / "faulty.cfg")
    returned, found = debug(tmp_path, tiny_bert, GOOD, DEV, config=config)
    assert (kinds(found), returned) == (expected, code)
    assert all(said in finding["message"] for finding in found["findings"])


@pytest.mark.parametrize(
    ("settings", "said", "code"),
    [
        # The heads read nothing of an encoder that does not write.
        ({"frozen_components": ["tok2vec"]}, "E203", 1),
        ({"frozen_components": ["tok2vec"], "annotating_components": ["tok2vec"]}, None, 0),
        # Nobody sends the encoder a gradient.
        ({"frozen_components": ["bert_ner"]}, "The encoder is not trained", 0),
    ],
)
def test_a_trained_pipeline_that_is_trained_further(
    tmp_path: Path, tiny_bert: Path, settings: dict[str, Any], said: str | None, code: int
) -> None:
    make_pipeline(tiny_bert, ("tagger", "bert_ner")).to_disk(tmp_path / "trained")
    source = {"source": str(tmp_path / "trained")}
    components: dict[str, Any] = {f"components.{name}": source for name in ("tok2vec", "bert_ner")}
    components["nlp.pipeline"] = ["tok2vec", "bert_ner"]
    trained = {f"training.{name}": value for name, value in settings.items()}
    config = faulty(CONFIG, components | trained, tmp_path / "further.cfg")
    returned, found = debug(tmp_path, tiny_bert, GOOD, DEV, config=config)
    # It knows LOC, of which it sees no more.
    assert kinds(found) == {"label_unused"} | ({"update"} if said else set())
    assert returned == code
    assert said is None or said in found["findings"][-1]["message"]


def test_a_sourced_component(tmp_path: Path, tiny_bert: Path) -> None:
    make_pipeline(tiny_bert).to_disk(tmp_path / "trained")
    settings = {"components.bert_ner": {"source": str(tmp_path / "trained")}}
    config = faulty(CONFIG, settings, tmp_path / "further.cfg")
    code, found = debug(tmp_path, tiny_bert, GOOD, DEV, config=config)
    assert (kinds(found), code) == ({"label_unused"}, 0)
    assert found["pieces"]["train"]["pieces_per_word"] >= 1
