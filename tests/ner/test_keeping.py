"""New labels without forgetting: the loss by listing all legal sequences, and what a component keeps."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.cli.train import train as spacy_train
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.util import fix_random_seed
from spacy.vocab import Vocab
from thinc.api import Config
from thinc.types import Ragged
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.decoding import Lattice
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.keeping import Keeping, allowed_tags
from spacy_bert_ner.ner.teaching import Batch
from spacy_bert_ner.tags import get_scheme
from spacy_bert_ner.training import running
from spacy_bert_ner.training.kept_labels import KeptLabels
from spacy_bert_ner.training.optimizer import build_adamw
from spacy_bert_ner.training.training_error import RunError
from tests.decoding.test_decoding import draw_scores, list_legal, total
from tests.ner.test_losses import slope
from tests.scenarios import CNN, make_pipeline
from tests.training.resuming import same
from tests.training.training_runs import OUTPUT, Interrupted, contents, interrupted_after, make_config

SIZES = [2, 0, 3, 1]
EXAMPLES = [Example(doc, doc) for doc in (Doc(Vocab(), words=["word"] * size) for size in SIZES)]
NER: dict[str, Any] = {"model": {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": CNN}}


class FakeTeacher:
    """A teacher whose distributions are given."""

    def __init__(self, lattice: Lattice, scores: Any) -> None:
        self.lattice = lattice
        self.scores = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))

    def log_probs(self, docs: Sequence[Doc]) -> Any:
        return self.scores


def lattice_of(scheme: str, labels: Sequence[str]) -> Lattice:
    return Lattice(get_scheme(scheme), tuple(labels))


def draw_gold(lattice: Lattice, annotated: Sequence[str], seed: int = 4) -> Any:
    """Gold tags with entities of annotated labels only."""
    rng = np.random.default_rng(seed)
    gold = []
    for size in filter(None, SIZES):
        legal = [
            tags for tags in list_legal(lattice, size) if all(lattice.tags[tag][2:] in ("", *annotated) for tag in tags)
        ]
        # The last one of the longest document is made of entities.
        chosen = len(legal) - 1 if size == max(SIZES) else rng.integers(len(legal))
        gold.append(legal[chosen])
    return np.concatenate(gold)


def learn(loss: Any, lattice: Lattice, teacher: Any, annotated: Any, scores: Any, gold: Any) -> tuple[float, Any]:
    rows: Any = Ragged(scores, np.ones(len(scores), "i"))
    batch = Batch(loss, lattice, rows, EXAMPLES, gold, int)
    found, gradient = Keeping(teacher, annotated).learn(batch)
    return found, gradient.dataXd


def softmax(scores: Any) -> Any:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# What the old model knows, what the new one knows, what the data are annotated with.
CASES = [
    (("PER",), ("PER", "DATE"), None),
    (("PER", "LOC"), ("PER", "LOC", "DATE"), ("DATE",)),
    # Old labels that are annotated too.
    (("PER", "LOC"), ("LOC", "PER", "DATE"), ("DATE", "PER")),
]


@pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
@pytest.mark.parametrize(("old", "new", "annotated"), CASES)
def test_the_token_loss_teaches_the_old_models_tags_where_they_are_allowed(
    scheme: str, old: Sequence[str], new: Sequence[str], annotated: Any
) -> None:
    before, lattice = lattice_of(scheme, old), lattice_of(scheme, new)
    teacher, scores = FakeTeacher(before, draw_scores(before, 6, 1)), draw_scores(lattice, 6, 2)
    gold = draw_gold(lattice, annotated or ("DATE",))
    gold[1] = -1
    assert (gold > 0).any()
    probabilities, theirs = softmax(scores), np.exp(teacher.scores)
    expected = 0.0
    for row, tag in enumerate(gold):
        ours = dict(zip(lattice.tags, probabilities[row], strict=True))
        told = dict(zip(before.tags, theirs[row], strict=True))
        if tag > 0:
            expected -= np.log(ours[lattice.tags[tag]])
            continue
        if tag < 0:
            # What is outside to the old model may be of a label that it does not know.
            ours["O"] += sum(ours[name] for name in lattice.tags if name not in told)
        else:
            told = {name: p for name, p in told.items() if name[2:] not in (annotated or ())}
        weight = sum(told.values())
        expected -= sum(p / weight * np.log(ours[name]) for name, p in told.items())
    found, gradient = learn("token", lattice, teacher, annotated, scores, gold)
    assert found == pytest.approx(expected / 6)
    wanted = slope(lambda moved: learn("token", lattice, teacher, annotated, moved, gold)[0], scores)
    np.testing.assert_allclose(gradient, wanted, atol=1e-7)


@pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
@pytest.mark.parametrize(("old", "new", "annotated"), CASES)
def test_the_sequence_loss_teaches_the_old_models_sequences_that_are_allowed(
    scheme: str, old: Sequence[str], new: Sequence[str], annotated: Any
) -> None:
    before, lattice = lattice_of(scheme, old), lattice_of(scheme, new)
    teacher, scores = FakeTeacher(before, draw_scores(before, 6, 1)), draw_scores(lattice, 6, 2)
    gold = draw_gold(lattice, annotated or ("DATE",))
    expected, said = 0.0, annotated or ("DATE",)
    column = {name: i for i, name in enumerate(before.tags)}
    for a, b in pairwise(np.cumsum([0, *SIZES])):
        if a == b:
            continue
        legal = list_legal(lattice, b - a)
        ours = np.log(softmax(np.array([total(scores[a:b], tags) for tags in legal])))
        theirs = np.full(len(legal), -np.inf)
        for i, tags in enumerate(legal):
            names = [lattice.tags[tag] for tag in tags]
            wanted = [lattice.tags[tag] for tag in gold[a:b]]
            # Of annotated labels it must have exactly the gold entities.
            if all((n if n[2:] in said else "O") == w for n, w in zip(names, wanted, strict=True)):
                theirs[i] = sum(teacher.scores[a + k, column[n]] for k, n in enumerate(names) if n[2:] not in said)
        expected -= float((softmax(theirs) * ours).sum())
    found, gradient = learn("sequence", lattice, teacher, annotated, scores, gold)
    assert found == pytest.approx(expected / 6)
    wanted = slope(lambda moved: learn("sequence", lattice, teacher, annotated, moved, gold)[0], scores)
    np.testing.assert_allclose(gradient, wanted, atol=1e-7)


def test_outside_means_none_of_the_annotated_labels() -> None:
    lattice = lattice_of("BIO", ["PER", "DATE"])
    tags = np.array([lattice.tags.index("O"), lattice.tags.index("B-DATE"), -1])
    allowed = [[lattice.tags[i] for i in np.flatnonzero(row)] for row in allowed_tags(lattice, tags, ["DATE"])]
    assert allowed == [["O", "B-PER", "I-PER"], ["B-DATE"], lattice.tags]


# Persons and places for the old model, days for the new one.
PEOPLE, PLACES, DAYS = ["Jane", "Ann", "Bob", "Carl"], ["Paris", "Rome", "Oslo"], ["Monday", "Friday", "Sunday"]


def documents(nlp: Language, labels: Sequence[str]) -> list[Doc]:
    docs = []
    for i in range(12):
        person, place, day = PEOPLE[i % 4], PLACES[i % 3], DAYS[(i + 1) % 3]
        doc = Doc(nlp.vocab, words=[person, "met", "us", "in", place, "on", day])
        spans = [Span(doc, 0, 1, "PER"), Span(doc, 4, 5, "LOC"), Span(doc, 6, 7, "DAY")]
        doc.set_ents([span for span in spans if span.label_ in labels])
        docs.append(doc)
    return docs


def examples_of(nlp: Language, labels: Sequence[str]) -> list[Example]:
    return [Example(Doc(nlp.vocab, words=[t.text for t in doc]), doc) for doc in documents(nlp, labels)]


def update(nlp: Language, labels: Sequence[str], steps: int = 60) -> None:
    optimizer = build_adamw(0.02)
    for _ in range(steps):
        nlp.update(examples_of(nlp, labels), sgd=optimizer)


def found_by(nlp: Language) -> set[str]:
    return {
        ent.label_
        for doc in nlp.pipe(Doc(nlp.vocab, words=[t.text for t in d]) for d in documents(nlp, []))
        for ent in doc.ents
    }


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline that knows persons and places."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config=NER)
    nlp.initialize(lambda: examples_of(nlp, ["PER", "LOC"]))
    update(nlp, ["PER", "LOC"])
    assert found_by(nlp) == {"PER", "LOC"}
    folder = tmp_path_factory.mktemp("old")
    nlp.to_disk(folder)
    return folder


@pytest.mark.parametrize("loss", ["token", "sequence"])
def test_old_labels_stay_where_only_a_new_one_is_annotated(old: Path, loss: str) -> None:
    for keep in (True, False):
        nlp = spacy.load(old, config={"components.bert_ner.loss": loss})
        pipe = nlp.get_pipe("bert_ner")
        assert isinstance(pipe, BertNER)
        if keep:
            pipe.keep_labels()
        pipe.add_label("DAY")
        update(nlp, ["DAY"])
        assert found_by(nlp) == ({"PER", "LOC", "DAY"} if keep else {"DAY"})


def test_what_is_kept_is_what_it_was(old: Path) -> None:
    """The copy does not change with the component."""
    nlp = spacy.load(old)
    pipe = nlp.get_pipe("bert_ner")
    assert isinstance(pipe, BertNER)
    pipe.keep_labels()
    assert isinstance(pipe.teaching, Keeping)
    teacher, docs = pipe.teaching.teacher, documents(nlp, [])
    before = teacher.log_probs(docs)
    pipe.add_label("DAY")
    update(nlp, ["DAY"], steps=3)
    np.testing.assert_array_equal(teacher.log_probs(docs), before)


def test_predicted_entities_of_which_the_gold_data_say_nothing_are_not_scored(old: Path) -> None:
    nlp = spacy.load(old)
    pipe = nlp.get_pipe("bert_ner")
    assert isinstance(pipe, BertNER)
    assert nlp.evaluate(examples_of(nlp, ["PER"]))["ents_p"] == 0.5
    pipe.keep_labels(["DAY"])
    assert nlp.evaluate(examples_of(nlp, ["PER"]))["ents_p"] == 1.0
    # Of an annotated label every one counts.
    pipe.keep_labels(["DAY", "LOC"])
    assert nlp.evaluate(examples_of(nlp, ["PER"]))["ents_p"] == 0.5
    assert found_by(nlp) == {"PER", "LOC"}


def test_what_cannot_be_kept_is_refused(old: Path, tiny_bert: Path) -> None:
    nlp = spacy.blank("en")
    fresh: Any = nlp.add_pipe("bert_ner", config=NER)
    with pytest.raises(ValueError, match="has no entity types yet"):
        fresh.keep_labels()
    shared: Any = make_pipeline(tiny_bert, ("tagger", "bert_ner")).get_pipe("bert_ner")
    with pytest.raises(ValueError, match=r"listens to another one.*train --keep MODEL"):
        shared.keep_labels()
    nlp = spacy.load(old)
    pipe: Any = nlp.get_pipe("bert_ner")
    pipe.keep_labels(["DAY"])
    with pytest.raises(ValueError, match=r"annotated = DAY: DAY is none of the component's labels LOC, PER"):
        nlp.update(examples_of(nlp, []))


@pytest.fixture
def folder(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with corpora in which days alone are annotated."""
    nlp = spacy.blank("en")
    for name in ("train", "dev"):
        DocBin(docs=documents(nlp, ["DAY"])).to_disk(tmp_path / f"{name}.spacy")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config_of(component: dict[str, Any]) -> Config:
    optimizer = {"@optimizers": "spacy-bert-ner.AdamW.v1", "learn_rate": 0.02}
    return make_config({"bert_ner": component}, {"optimizer": optimizer, "max_steps": 60, "eval_frequency": 20})


@pytest.mark.parametrize("run", ["spacy train", "bert-ner train"])
def test_labels_are_kept_by_config_alone(folder: Path, old: Path, run: str) -> None:
    config = config_of({"source": str(old)})
    config["initialize"] = {"after_init": {"@callbacks": "spacy-bert-ner.keep_labels.v1"}}
    config.to_disk("config.cfg")
    if run == "spacy train":
        spacy_train(Path("config.cfg"), OUTPUT)
    else:
        running.train(Path("config.cfg"), OUTPUT)
    nlp = spacy.load(OUTPUT / "model-last")
    assert found_by(nlp) == {"PER", "LOC", "DAY"}
    assert nlp.meta["performance"]["ents_f"] == 1.0


@pytest.mark.parametrize("sourced", [True, False], ids=["sourced", "from scratch"])
def test_labels_are_kept_by_the_command(folder: Path, old: Path, sourced: bool) -> None:
    config_of({"source": str(old)} if sourced else {"factory": "bert_ner", **NER}).to_disk("config.cfg")
    command = ["train", "config.cfg", "--output", "out", "--keep", str(old)]
    done = CliRunner().invoke(bert_ner_cli, command)
    assert done.exit_code == 0, done.output
    assert found_by(spacy.load("out/model-last")) == {"PER", "LOC", "DAY"}


def test_what_the_command_refuses(folder: Path, old: Path) -> None:
    config_of({"factory": "bert_ner", **NER, "scheme": "BILUO"}).to_disk("config.cfg")
    cases = [
        (["--keep", "nowhere"], "--keep nowhere: there is no such pipeline"),
        (["--annotated", "DAY"], "it is for --keep MODEL"),
        (
            ["--keep", str(old), "--components.bert_ner.scheme", "BIO", "--annotated", "DYA"],
            "--annotated DYA: expected",
        ),
        (["--keep", str(old)], "its tag scheme is BIO, the config's BILUO"),
    ]
    for arguments, said in cases:
        done = CliRunner().invoke(bert_ner_cli, ["train", "config.cfg", "--output", "out", *arguments])
        assert (done.exit_code, said in " ".join(done.output.split())) == (1, True), done.output


def test_keeping_ends_the_same_however_often_it_is_interrupted(folder: Path, old: Path) -> None:
    config_of({"source": str(old)}).to_disk("config.cfg")
    options: dict[str, Any] = {
        "teaching": KeptLabels(str(old)),
        "overrides": {"training.max_steps": 6, "training.eval_frequency": 3},
    }
    running.train(Path("config.cfg"), OUTPUT, **options)
    expected = contents()
    with interrupted_after(9), pytest.raises(Interrupted):
        running.train(Path("config.cfg"), OUTPUT, interval=0, **options)
    with pytest.raises(RunError, match=r"--keep: not there now|setting --keep"):
        running.train(Path("config.cfg"), OUTPUT, overrides=options["overrides"])
    running.train(Path("config.cfg"), OUTPUT, **options)
    same(contents(), expected)
