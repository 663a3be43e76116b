"""Distillation: targets are the teachers' predictions, a student learns them, whatever interrupts it."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, DocBin
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.decoding import Lattice
from spacy_bert_ner.decoding.tag_marginals import tag_marginals
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.decoded import tag_logits
from spacy_bert_ner.ner.teacher import translate_tags
from spacy_bert_ner.storage.locking import locked
from spacy_bert_ner.tags import get_scheme
from spacy_bert_ner.training import running
from spacy_bert_ner.training.distillation import targets as targets_module
from spacy_bert_ner.training.distillation.targets import FIRST_ROW, Targets, TargetState, checksum_of
from spacy_bert_ner.training.distillation.taught_corpus import TaughtCorpus
from spacy_bert_ner.training.distillation.texts import LONGEST_TEXT, Texts, shuffle_stream
from spacy_bert_ner.training.kept_labels import KeptLabels
from spacy_bert_ner.training.parallel.group import Group
from spacy_bert_ner.training.training_error import RunError
from tests.training.distilling import (
    TEXTS,
    corpus_examples,
    distill,
    distillation_of,
    make_teacher,
    student_config,
    text_docs,
    write_problem,
)
from tests.training.parallel_runs import together
from tests.training.resuming import same
from tests.training.training_runs import OUR_OPTIMIZER, OUTPUT, Interrupted, interrupted_after


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_problem(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def probabilities(nlp: spacy.Language, docs: list[Doc]) -> Any:
    """A pipeline's own, of tags at every token, by softmax. (tokens, tags)"""
    pipe: Any = nlp.get_pipe("bert_ner")
    logits = np.concatenate([tag_logits(pipe.model, [doc], "x") for doc in docs if len(doc)]).astype("f8")
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def all_docs(folder: Path, nlp: spacy.Language) -> list[Doc]:
    return [example.predicted for example in corpus_examples(folder, nlp)] + text_docs(nlp)


def test_the_targets_are_the_teachers_predictions_on_the_students_tokens(folder: Path) -> None:
    distill(folder)
    targets, teacher = Targets(OUTPUT / "targets"), spacy.load("teacher")
    docs = all_docs(folder, teacher)
    assert targets.lattice.labels == ("MISC", "LOC", "ORG", "PER")
    assert len(targets) == len(docs)
    assert isinstance(targets.rows, np.memmap)
    assert targets.rows.dtype == np.float16
    np.testing.assert_allclose(np.exp(targets.rows.astype("f8")), probabilities(teacher, docs), rtol=0.02, atol=1e-4)


def test_several_teachers_are_averaged_by_label(folder: Path) -> None:
    other = make_teacher(("DATE", "MISC"), seed=2)
    other.to_disk(folder / "other")
    distill(folder, distillation_of(teachers=("teacher", "other"), texts=()))
    first = spacy.load("teacher")
    docs = [example.predicted for example in corpus_examples(folder, first)]
    targets = Targets(OUTPUT / "targets")
    pipe = other.get_pipe("bert_ner")
    assert isinstance(pipe, BertNER)
    theirs = np.exp(translate_tags(np.log(probabilities(other, docs)).astype("f"), pipe.lattice, targets.lattice))
    expected = (probabilities(first, docs) + theirs) / 2
    np.testing.assert_allclose(np.exp(targets.rows.astype("f8")), expected, rtol=0.02, atol=1e-4)


def test_examples_find_their_own_rows(folder: Path) -> None:
    distill(folder)
    targets, nlp = Targets(OUTPUT / "targets"), spacy.blank("en")
    corpus = TaughtCorpus(corpus_examples(folder, nlp), Texts(("texts.jsonl",)), targets)
    teacher = spacy.load("teacher")
    student = Lattice(get_scheme("BIO"), ("LOC", "ORG", "PER"))
    # Copies, as spaCy's update makes them.
    examples = [type(each)(each.predicted.copy(), each.reference) for each in corpus(nlp)]
    found = np.exp(targets.look_up(examples, student))
    theirs = np.log(probabilities(teacher, [each.predicted for each in examples])).astype("f")
    np.testing.assert_allclose(found, np.exp(translate_tags(theirs, targets.lattice, student)), rtol=0.02, atol=1e-4)


def test_an_epoch_holds_every_document_once_well_mixed(folder: Path) -> None:
    distill(folder)
    nlp, texts = spacy.blank("en"), Texts(("texts.jsonl",))
    annotated = corpus_examples(folder, nlp)
    corpus = TaughtCorpus(annotated, texts, Targets(OUTPUT / "targets"))
    first, second = ([each.predicted.user_data[FIRST_ROW] for each in corpus(nlp)] for _ in range(2))
    assert Counter(first) == Counter(second)
    assert len(set(first)) == len(first) == len(annotated) + len(TEXTS) * 4
    assert first != second
    bound = sum(len(each.predicted) for each in annotated)
    half = first[: len(first) // 2]
    assert 0.2 < sum(place < bound for place in half) / len(half) < 0.9


def test_a_stream_is_shuffled_within_its_buffer(folder: Path) -> None:
    nlp = spacy.blank("en")
    examples = list(Texts(("texts.jsonl",)).examples(nlp))
    longest = max(len(each.predicted) for each in examples)
    held = most = 0

    def counted() -> Any:
        nonlocal held, most
        for example in examples:
            held += len(example.predicted)
            most = max(most, held)
            yield example

    drawn = []
    for example in shuffle_stream(counted(), 20):
        held -= len(example.predicted)
        drawn.append(example)
    assert {id(each) for each in drawn} == {id(each) for each in examples}
    assert len(drawn) == len(examples)
    assert drawn != examples
    assert most <= 20 + longest


@pytest.mark.parametrize("match", ["tags", "sequences"])
def test_the_student_is_an_ordinary_model_that_predicts_as_its_teacher(folder: Path, match: Any) -> None:
    student_config(max_steps=150, eval_frequency=75).to_disk(folder / "config.cfg")
    distill(folder, distillation_of(weight=1.0, match=match))
    nlp, teacher = spacy.load(OUTPUT / "model-last"), spacy.load("teacher")
    docs = all_docs(folder, nlp)
    student_pipe, teacher_pipe = nlp.get_pipe("bert_ner"), teacher.get_pipe("bert_ner")
    assert isinstance(student_pipe, BertNER)
    assert isinstance(teacher_pipe, BertNER)
    theirs = np.log(probabilities(teacher, docs)).astype("f")
    wanted = translate_tags(theirs, teacher_pipe.lattice, student_pipe.lattice)
    found = np.log(probabilities(nlp, docs))
    if match == "sequences":
        # Tags by themselves are then free, as long as the legal sequences have their probabilities.
        sizes = np.array([len(doc) for doc in docs if len(doc)])
        found, wanted = (tag_marginals(student_pipe.lattice, each, sizes)[1] for each in (found, wanted))
    assert (found.argmax(axis=1) == wanted.argmax(axis=1)).mean() > 0.9
    assert student_pipe.labels == ("LOC", "ORG", "PER")
    assert student_pipe.teaching is None
    assert nlp.config["corpora"]["train"]["@readers"] == "spacy.Corpus.v1"
    assert nlp.meta["spacy_bert_ner"]["distillation"]["weight"] == 1.0


@pytest.mark.parametrize("settings", [{"match": "tags"}, {"texts": ()}])
def test_ends_the_same_however_often_it_is_interrupted(folder: Path, settings: dict[str, Any]) -> None:
    expected = distill(folder, distillation_of(**settings))
    shutil.rmtree(OUTPUT)
    for events in range(5, 100, 9):
        with interrupted_after(events):
            try:
                found = distill(folder, distillation_of(**settings), interval=0)
                break
            except Interrupted:
                continue
    else:
        pytest.fail("it never came to its end")
    same(found, expected)


@pytest.mark.parametrize(("blocks", "torn"), [(1, True), (2, False)])
def test_targets_are_completed_after_an_interruption(
    folder: Path, blocks: int, torn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets_module, "BLOCK_DOCUMENTS", 7)
    expected = distill(folder)
    shutil.rmtree(OUTPUT)
    write, written = TargetState.write, 0

    def broken_off(self: TargetState, place: Path) -> None:
        nonlocal written
        written += 1
        if written > blocks + 1:
            raise Interrupted
        write(self, place)

    judged = []
    judge = targets_module.Teachers.log_probs
    with monkeypatch.context() as patch:
        patch.setattr(TargetState, "write", broken_off)
        with pytest.raises(Interrupted):
            distill(folder)
    if torn:
        with (OUTPUT / "targets" / "targets.f16").open("ab") as file:
            file.write(b"half a row")

    def counted(self: Any, docs: list[Doc]) -> Any:
        judged.append(len(docs))
        return judge(self, docs)

    monkeypatch.setattr(targets_module.Teachers, "log_probs", counted)
    same(distill(folder), expected)
    assert sum(judged) == len(Targets(OUTPUT / "targets")) - 7 * blocks


def test_targets_are_shared_by_students(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Path("shared")
    first = distill(folder, distillation_of(targets=shared))
    monkeypatch.setattr(targets_module.Teachers, "log_probs", None)
    same(distill(folder, distillation_of(targets=shared)), first)
    # Whatever is the student's own does not change them.
    distill(folder, distillation_of(targets=shared, weight=0.2), overrides={"training.seed": 9})
    # Nor do the places of the files.
    shutil.copytree("teacher", "moved")
    shutil.move("texts.jsonl", "others.jsonl")
    shutil.move("train.spacy", "other.spacy")
    elsewhere = {"teachers": (str(folder / "moved"),), "texts": ("./others.jsonl",)}
    moved = {"corpora.train.path": str(folder / "other.spacy")}
    distill(folder, distillation_of(targets=shared, **elsewhere), overrides=moved, fresh=False)
    for changed in ({"texts": ()}, {"texts": ("other.txt",)}):
        shutil.copy("others.jsonl", "other.txt")
        with pytest.raises(RunError, match="shared holds the targets of something else") as error:
            distill(folder, distillation_of(targets=shared, **elsewhere | changed), overrides=moved)
        assert "--texts" in str(error.value)


@pytest.mark.parametrize("damage", ["targets.f16", "documents.i64", "targets.json"])
def test_damaged_targets_are_found_out(folder: Path, damage: str) -> None:
    distill(folder, distillation_of(targets=Path("shared")))
    path = Path("shared") / damage
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(RunError, match=r"shared.* is damaged .*: delete"):
        distill(folder, distillation_of(targets=Path("shared")))


def test_other_documents_than_the_teachers_saw_are_refused(folder: Path) -> None:
    distill(folder)
    nlp = spacy.blank("en")
    targets = Targets(OUTPUT / "targets")
    annotated = corpus_examples(folder, nlp)
    with pytest.raises(RunError, match=r"Document 0 .* is none that the teachers saw there"):
        TaughtCorpus(annotated[2:], Texts(), targets)
    assert checksum_of(annotated[0].predicted) != checksum_of(annotated[2].predicted)


def test_texts_are_read_in_every_format(folder: Path) -> None:
    nlp = spacy.blank("en")
    Path("a").mkdir()
    Path("a/one.txt").write_text("Jane met IBM\n\nnobody\n", encoding="utf8")
    DocBin(docs=[nlp("Paris works")]).to_disk("a/two.spacy")
    Path("b.jsonl").write_text(json.dumps({"body": "x " * LONGEST_TEXT}) + "\n", encoding="utf8")
    found = list(Texts(("a",)).examples(nlp))
    assert [example.predicted.text for example in found] == ["Jane met IBM", "nobody", "Paris works"]
    assert not any(example.reference.has_annotation("ENT_IOB") for example in found)
    pieces = list(Texts(("b.jsonl",), "body"))
    assert "".join(pieces) == "x " * LONGEST_TEXT
    assert max(map(len, pieces)) <= LONGEST_TEXT
    assert Texts(("a", "b.jsonl"), "text").found.sources[0].name == "a/one.txt"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"teachers": ("nowhere",)}, "--teacher nowhere: there is no such pipeline"),
        ({"teachers": ()}, "--teacher MODEL"),
        ({"teachers": ("blank",)}, "The teacher blank has no bert_ner, expected one component"),
        ({"teachers": ("untrained",)}, "The teacher untrained has no entity types"),
        ({"teachers": ("biluo",)}, 'tag scheme is BILUO, the student\'s BIO: .* scheme = "BILUO"'),
        ({"teachers": ("teacher", "biluo")}, "teacher has the tag scheme BIO, biluo has BILUO"),
        ({"teachers": ("poor",)}, "does not know the student's labels ORG, PER, but LOC"),
        ({"texts": ("nowhere.jsonl",)}, "--texts nowhere.jsonl: no such file"),
        ({"texts": ("torn.jsonl",)}, "--texts torn.jsonl:2: no JSON"),
        ({"texts": ("other.jsonl",)}, "--texts other.jsonl:1: .*--text-field"),
        ({"texts": ("blank.txt", "empty.jsonl")}, "--texts blank.txt, empty.jsonl: .* no text"),
        ({"teachers": ("texts",)}, "--teacher texts: there is no such pipeline"),
        ({"texts": ("-",)}, "standard input can be read once only"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(folder: Path, settings: dict[str, Any], said: str) -> None:
    nlp = spacy.blank("en")
    nlp.to_disk("blank")
    nlp.add_pipe("bert_ner", config={"model": student_config()["components"]["bert_ner"]["model"]})
    nlp.to_disk("untrained")
    make_teacher(scheme="BILUO").to_disk("biluo")
    make_teacher_of("LOC").to_disk("poor")
    Path("torn.jsonl").write_text('{"text": "Jane"}\n{"te\n', encoding="utf8")
    Path("texts").mkdir()
    Path("blank.txt").write_text("\n  \n", encoding="utf8")
    Path("empty.jsonl").write_text("", encoding="utf8")
    Path("other.jsonl").write_text('{"body": "Jane"}\n', encoding="utf8")
    with pytest.raises(RunError, match=said):
        distill(folder, distillation_of(**settings))


@pytest.mark.parametrize("name", ["model-best", "model-last"])
@pytest.mark.parametrize("teaching", [lambda name: distillation_of(teachers=(name,)), KeptLabels])
def test_a_run_does_not_replace_the_pipeline_that_it_learns_from(folder: Path, name: str, teaching: Any) -> None:
    OUTPUT.mkdir()
    shutil.copytree("teacher", OUTPUT / name)
    before = (OUTPUT / name / "bert_ner" / "model").read_bytes()
    with pytest.raises(RunError, match=rf"out/{name}: this run writes its own pipelines there.*--output"):
        running.train(Path("config.cfg"), OUTPUT, teaching=teaching(f"out/{name}"))
    assert (OUTPUT / name / "bert_ner" / "model").read_bytes() == before


@pytest.mark.parametrize("place", ["teacher", "teacher/inside", "out/model-best", "out/checkpoints/inside"])
def test_targets_are_neither_in_a_teacher_nor_where_the_run_deletes(folder: Path, place: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path("teacher").rglob("*")}
    with pytest.raises(RunError, match=rf"--targets {place}: .*name another folder"):
        distill(folder, distillation_of(targets=Path(place)))
    assert {path: path.stat().st_mtime_ns for path in Path("teacher").rglob("*")} == before


def test_a_run_writes_into_no_pipeline_that_it_learns_from(folder: Path) -> None:
    with pytest.raises(RunError, match=r"--output teacher/out: it lies in the pipeline teacher \(--teacher\)"):
        running.train(Path("config.cfg"), Path("teacher/out"), teaching=distillation_of())
    assert not Path("teacher/out").exists()


def test_a_student_that_is_to_keep_labels_is_refused(folder: Path) -> None:
    config = student_config()
    config["components"]["bert_ner"] = {"source": "teacher"}
    config["initialize"] = {"after_init": {"@callbacks": "spacy-bert-ner.keep_labels.v1"}}
    config.to_disk("config.cfg")
    with pytest.raises(RunError, match=r"keep its labels already, by the config's spacy-bert-ner\.keep_labels\.v1"):
        distill(folder)


def test_unfinished_targets_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets_module, "BLOCK_DOCUMENTS", 7)

    def interrupted() -> None:
        raise Interrupted

    assert distillation_of().tell_progress(OUTPUT) is None
    with monkeypatch.context() as patch:
        # After the first block.
        patch.setattr(Group, "share", lambda self, value: interrupted() if value is False else value)
        with pytest.raises(Interrupted):
            distill(folder)
    assert distillation_of().tell_progress(OUTPUT) == (
        "Of the targets in out/targets 7 documents are done: the same command goes on from there."
    )
    distill(folder)
    assert distillation_of().tell_progress(OUTPUT) is None


def test_texts_that_end_too_early_are_named(folder: Path) -> None:
    distill(folder)
    texts = Texts(("texts.jsonl",))
    nlp, targets = spacy.blank("en"), Targets(OUTPUT / "targets")
    corpus = TaughtCorpus(corpus_examples(folder, nlp), texts, targets)
    Path("texts.jsonl").write_text(json.dumps({"text": TEXTS[0]}) + "\n", encoding="utf8")
    with pytest.raises(RunError, match=r"--texts texts.jsonl: .* fewer texts than when .*targets"):
        list(corpus(nlp))


def test_what_a_run_writes_is_no_text(folder: Path) -> None:
    """The training curve is JSON Lines, too: in a folder of texts it would be among them at the next start."""
    Path("texts").mkdir()
    shutil.copy("texts.jsonl", "texts/a.jsonl")
    for _ in range(2):
        command = ["distill", "config.cfg", "--output", "texts/out", "--teacher", "teacher", "--texts", "texts"]
        done = CliRunner().invoke(bert_ner_cli, command)
        assert done.exit_code == 0, done.output
        assert Path("texts/out/curve.jsonl").exists()
    # Not made anew.
    assert "The targets of" in done.output


def test_what_a_kill_leaves_beside_the_targets_is_removed(folder: Path) -> None:
    place = OUTPUT / "targets"
    place.mkdir(parents=True)
    (place / ".targets.json.abc.tmp").write_text("{", encoding="utf8")
    distill(folder)
    assert {path.name for path in place.iterdir()} == {"targets.json", "targets.f16", "documents.i64"}


def test_targets_are_made_by_one_process_at_a_time(folder: Path) -> None:
    with locked(Path("shared"), RunError), pytest.raises(RunError, match="shared: another process is writing there"):
        distill(folder, distillation_of(targets=Path("shared")))
    distill(folder, distillation_of(targets=Path("shared")))
    assert not Path("shared/.lock").exists()


def make_teacher_of(label: str) -> spacy.Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": student_config()["components"]["bert_ner"]["model"]})
    doc = Doc(nlp.vocab, words=["Jane"], ents=[f"B-{label}"])
    nlp.initialize(lambda: [spacy.training.Example(Doc(nlp.vocab, words=["Jane"]), doc)])
    return nlp


def test_the_command(folder: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(bert_ner_cli, ["distill", "config.cfg", "--output", "out", *arguments])
        return done.exit_code, " ".join(done.output.split())

    code, said = run("--teacher", "teacher", "--texts", "texts.jsonl", "--training.max_steps", "2")
    assert code == 0, said
    assert "Made the targets of" in said
    assert spacy.load("out/model-last").pipe_names == ["bert_ner"]
    code, said = run("--teacher", "nowhere")
    assert code == 1
    assert "Distillation cannot begin --teacher nowhere: there is no such pipeline" in said
    # As options are spelt, and before anything is read.
    assert run("--teacher", "teacher", "--temperature", "0")[1].endswith("--temperature 0.0: expected a number above 0")
    assert "'tags', 'sequences'" in run("--teacher", "teacher", "--match", "spans")[1]


def test_epochs_count_the_texts_as_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    student_config(optimizer=OUR_OPTIMIZER).to_disk(folder / "config.cfg")
    for texts in ((), ("texts.jsonl",)):
        distill(folder, distillation_of(texts=texts), epochs=2, fresh=True)
        said.append(capsys.readouterr().out)
    plain, more = (int(each.partition(" steps of")[0].rpartition(" ")[2]) for each in said)
    annotated = sum(len(each.reference) for each in corpus_examples(folder, spacy.blank("en"))[::2])
    ratio = 1 + sum(map(len, text_docs(spacy.blank("en")))) / annotated
    assert more == pytest.approx(plain * ratio, rel=0.3)


def test_several_processes_share_the_targets(folder: Path) -> None:
    results = together(2, train_student)
    assert results == [None, None]
    assert len(Targets(OUTPUT / "targets")) == len(all_docs(folder, spacy.blank("en")))
    assert spacy.load(OUTPUT / "model-last").pipe_names == ["bert_ner"]


def train_student(group: Group) -> None:
    running.train(Path("config.cfg"), OUTPUT, teaching=distillation_of(), group=group)
