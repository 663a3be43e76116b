"""`bert-ner audit`: by folds and by a model, resumed after it was killed, refused where it is another one."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span

from spacy_bert_ner.commands import audit as command
from spacy_bert_ner.data.exports.tasks import TASK_FILES
from spacy_bert_ner.training.training_error import RunError
from tests.auditing.corpora import make_corpus, save
from tests.commands.test_train_command import NER, OPTIMIZER
from tests.commands.tiny import invoke, said, save_corpus, save_model
from tests.training.training_runs import make_config, record_runs

SETTINGS = ("--training.max_steps", "60", "--training.eval_frequency", "30", "--training.dropout", "0.0")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config and corpora, of which train has one entity of the wrong type, in which the test runs."""
    docs = make_corpus()
    save(tmp_path / "dev.spacy", docs[:6])
    docs[9].set_ents([Span(docs[9], 0, 1, "PER"), Span(docs[9], 3, 4, "ORG"), Span(docs[9], 7, 8, "ORG")])
    save(tmp_path / "train.spacy", docs)
    make_config({"bert_ner": NER}, {"optimizer": OPTIMIZER}).to_disk(tmp_path / "config.cfg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of the runs that are made."""
    return record_runs(monkeypatch)


def audit(*args: Any) -> str:
    result = invoke("audit", "config.cfg", "out", "--folds", "3", *SETTINGS, *args)
    assert result.exit_code == 0, result.output
    return said(result)


def doubts(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out" / "doubts.jsonl").read_text(encoding="utf8").splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_folds(folder: Path, trained: list[str]) -> None:
    printed = audit()
    assert trained == ["fold-1", "fold-2", "fold-3"]
    assert "3 trainings of about 160 words each: together about 2.0 times as long" in printed
    first, *_ = doubts(folder)
    assert (first["rank"], first["kind"], first["document"], first["tokens"]) == (1, "type", 9, [3, 4])
    assert first["in_tokens"] == {"annotated": [[3, 4, "ORG"]], "suggested": [[3, 4, "LOC"]]}
    # Nothing of the folds is kept but what they say.
    assert sorted(path.name for path in (folder / "out" / "folds").iterdir()) == [f"fold-{i}.jsonl" for i in (1, 2, 3)]
    written = contents(folder / "out")
    assert set(TASK_FILES) < set(written)
    audit()
    assert len(trained) == 3
    assert contents(folder / "out") == written
    audit("--count", "2")
    assert len(doubts(folder)) == 2
    assert len(trained) == 3


@pytest.mark.parametrize("step", ["in training", "in judging"])
def test_it_goes_on_where_it_was_killed(
    folder: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    audit()
    whole = contents(folder / "out")
    for name in ("fold-2.jsonl", "fold-3.jsonl"):
        (folder / "out" / "folds" / name).unlink()
    del trained[:]

    def killed(*_: Any, **__: Any) -> None:
        raise RunError("killed")

    with monkeypatch.context() as patch:
        name = "train_or_exit" if step == "in training" else "load_pipeline"
        patch.setattr(command, name, killed)
        result = invoke("audit", "config.cfg", "out", "--folds", "3", *SETTINGS)
        assert (result.exit_code, "killed" in result.output) == (1, True)
    assert "2 trainings" in said(result)
    assert "(1 of 3 are done)" in said(result)
    audit()
    # A fold whose training had ended is not trained again.
    assert trained == ["fold-2", "fold-3"]
    assert contents(folder / "out") == whole


def test_code_is_imported_where_a_fold_is_judged_that_was_trained_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "own.py").write_text("from pathlib import Path\nPath('imported').touch()\n")
    seen = []

    def load(name: str) -> None:
        seen.append((folder / "imported").exists())
        raise RunError("killed")

    monkeypatch.setattr(command, "load_pipeline", load)
    args = ("audit", "config.cfg", "out", "--folds", "2", "--training.max_steps", "1", "--code", "own.py")
    assert invoke(*args).exit_code == 1
    (folder / "imported").unlink()
    assert invoke(*args).exit_code == 1
    assert seen == [True, True]


def test_what_is_left_of_a_fold_that_is_done_is_removed(folder: Path, trained: list[str]) -> None:
    audit("--training.max_steps", "1")
    whole = contents(folder / "out")
    checkpoints = folder / "out" / "folds" / "fold-2" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "large").write_bytes(b"")
    audit("--training.max_steps", "1")
    assert contents(folder / "out") == whole
    assert len(trained) == 3


CHANGES = [
    (("--training.max_steps", "61"), "training.max_steps: 60 then, 61 now"),
    (("--folds", "2"), "--folds: 3 then, 2 now"),
    (("--epochs", "2"), "--epochs: null then, 2.0 now"),
]


def test_another_audit_is_not_mixed_in(folder: Path, trained: list[str]) -> None:
    audit()
    del trained[:]
    for change, named in CHANGES:
        result = invoke("audit", "config.cfg", "out", "--folds", "3", *SETTINGS, *change)
        assert result.exit_code == 1
        assert named in said(result)
        assert "--fresh" in said(result)
    save(folder / "train.spacy", make_corpus())
    changed = invoke("audit", "config.cfg", "out", "--folds", "3", *SETTINGS)
    assert (changed.exit_code, "content of train.spacy" in said(changed)) == (1, True)
    assert trained == []
    audit("--fresh")
    assert len(trained) == 3


def test_a_type_that_a_fold_does_not_see_is_not_judged(folder: Path) -> None:
    docs = make_corpus()
    docs[4].set_ents([Span(docs[4], 0, 1, "PER"), Span(docs[4], 8, 9, "DATE")])
    save(folder / "train.spacy", docs)
    assert "1 entities are of types that the judging model does not know" in audit()
    # It is shown in its sentence, and never in doubt.
    assert not [each for each in doubts(folder) if each["document"] == 4 and each["tokens"] == [8, 9]]


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a trained pipeline and a corpus that it knows, in which the test runs."""
    save_model(tmp_path)
    save_corpus(tmp_path / "dev.spacy")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def break_annotation(folder: Path) -> list[tuple[int, str]]:
    """Break one entity in each way. RETURNS: The documents and how."""
    docs = list(DocBin().from_disk(folder / "dev.spacy").get_docs(spacy.blank("en").vocab))

    def ents(doc: Doc) -> list[Span]:
        return list(doc.ents)

    paris = docs[0]
    paris.set_ents([ents(paris)[0], Span(paris, ents(paris)[1].start, ents(paris)[1].end, "PER")])
    london = docs[1]
    london.set_ents([ents(london)[1]])
    nobody = docs[3]
    nobody.set_ents([Span(nobody, 2, 3, "LOC")])
    bank = docs[4]
    org = ents(bank)[1]
    bank.set_ents([ents(bank)[0], Span(bank, org.start + 1, org.end, org.label_)])
    DocBin(docs=docs).to_disk(folder / "dev.spacy")
    return [(0, "type"), (1, "missing"), (3, "spurious"), (4, "boundary")]


def test_a_model_finds_what_was_broken(judged: Path) -> None:
    broken = break_annotation(judged)
    result = invoke("audit", "dev.spacy", "out", "--model", "model")
    assert result.exit_code == 0, result.output
    found = doubts(judged)
    assert sorted((each["document"], each["kind"]) for each in found[:4]) == broken
    assert [each["rank"] for each in found] == list(range(1, len(found) + 1))
    assert all(left["probability"] >= right["probability"] for left, right in pairwise(found))
    for each in found:
        for reading in (each["annotated"], each["suggested"]):
            assert all(each["text"][span["start"] : span["end"]] == span["text"] for span in reading)
    for line in (judged / "out" / "prodigy.jsonl").read_text(encoding="utf8").splitlines():
        task = json.loads(line)
        rebuilt = "".join(token["text"] + " " * token["ws"] for token in task["tokens"])
        assert rebuilt == task["text"]
        assert all(span["token_start"] <= span["token_end"] for span in task["spans"])
    figures = json.loads((judged / "out" / "figures.json").read_text(encoding="utf8"))
    assert figures["likely"] >= 4
    page = (judged / "out" / "audit.html").read_text(encoding="utf8")
    assert page.count('<article class="error">') == len(found)
    assert "entity differs" in page
    assert "http" not in page


def test_documents_are_counted_with_empty_ones(judged: Path) -> None:
    broken = break_annotation(judged)
    vocab = spacy.blank("en").vocab
    docs = list(DocBin().from_disk(judged / "dev.spacy").get_docs(vocab))
    DocBin(docs=[Doc(vocab), *docs]).to_disk(judged / "dev.spacy")
    assert invoke("audit", "dev.spacy", "out", "--model", "model").exit_code == 0
    assert sorted((each["document"] - 1, each["kind"]) for each in doubts(judged)[:4]) == broken


def test_partial_annotation_is_no_error(judged: Path) -> None:
    docs = list(DocBin().from_disk(judged / "dev.spacy").get_docs(spacy.blank("en").vocab))
    docs[1].set_ents([next(iter(docs[1].ents))], default="missing")
    docs[4].set_ents([], default="missing")
    DocBin(docs=docs).to_disk(judged / "dev.spacy")
    assert invoke("audit", "dev.spacy", "out", "--model", "model").exit_code == 0
    assert not [each for each in doubts(judged) if each["document"] in (1, 4) and each["kind"] == "missing"]
    figures = json.loads((judged / "out" / "figures.json").read_text(encoding="utf8"))
    assert figures["unknown"] > 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("dev.spacy", "out"), "--model MODEL"),
        (("nowhere.cfg", "out"), "does not exist"),
        (("dev.spacy", "out", "--model", "model", "--training.dropout", "1"), "--training.dropout"),
        (("dev.spacy", "out", "--model", "nowhere"), "nowhere cannot be loaded"),
    ],
)
def test_what_is_refused(judged: Path, args: tuple[str, ...], message: str) -> None:
    result = invoke("audit", *args)
    assert (result.exit_code, message in said(result)) == (1, True), result.output
    assert not (judged / "out").exists()


def test_a_corpus_without_annotation_is_refused(judged: Path) -> None:
    nlp = spacy.blank("en")
    DocBin(docs=[nlp.make_doc("Jane met IBM")]).to_disk(judged / "raw.spacy")
    assert "No token of raw.spacy is annotated" in said(invoke("audit", "raw.spacy", "out", "--model", "model"))


@pytest.mark.parametrize("fresh", [(), ("--fresh",)])
@pytest.mark.parametrize(("name", "content"), [("folds/mine.txt", "x"), ("audit.json", "{}"), ("audit.json", "[")])
def test_what_no_audit_has_written_stays(judged: Path, name: str, content: str, fresh: tuple[str, ...]) -> None:
    place = judged / "out" / name
    place.parent.mkdir(parents=True)
    place.write_text(content)
    result = invoke("audit", "dev.spacy", "out", "--model", "model", *fresh)
    assert (result.exit_code, "name another folder" in said(result)) == (1, True)
    assert place.read_text() == content


def test_another_model_is_not_mixed_in(judged: Path) -> None:
    assert invoke("audit", "dev.spacy", "out", "--model", "model").exit_code == 0
    break_annotation(judged)
    result = invoke("audit", "dev.spacy", "out", "--model", "model")
    assert "content of dev.spacy (documents)" in said(result)
    assert invoke("audit", "dev.spacy", "out", "--model", "model", "--fresh").exit_code == 0
