"""Components that are sourced and trained further, on corpora with new labels: by config alone."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.cli.train import train as spacy_train
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training.initialize import init_nlp
from spacy.util import dot_to_object, load_config
from thinc.api import Config
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.training.completion import load_completed
from spacy_bert_ner.training.recipes import choose_recipe
from spacy_bert_ner.training.running import train
from tests.scenarios import CNN, LINES, examples_of, make_pipeline
from tests.training.training_runs import make_config

ADD_LABELS = {"@callbacks": "spacy-bert-ner.add_labels.v1"}
NER: dict[str, Any] = {"model": {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": CNN}}
OLD, NEW = ("LOC", "ORG", "PER"), ("LOC", "ORG", "PER", "DATE", "TIME")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a trained pipeline, and a corpus with labels that it does not have."""
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config=NER)
    nlp.initialize(lambda: examples_of(nlp))
    nlp.to_disk(tmp_path / "trained")
    write_corpora(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_corpora(folder: Path, dev_labels: Sequence[str] = ("DATE",)) -> None:
    nlp = spacy.blank("en")
    for name, labels in (("train", ("TIME", "DATE")), ("dev", dev_labels)):
        docs = [example.reference for example in examples_of(nlp)]
        for label in labels:
            docs.append(Doc(nlp.vocab, words=["on", "Monday", label]))
            docs[-1].set_ents([Span(docs[-1], 1, 2, label)])
        DocBin(docs=docs * 2).to_disk(folder / f"{name}.spacy")


def sourcing(**training: Any) -> Config:
    more = {"max_steps": 2, "eval_frequency": 2, "optimizer": {"@optimizers": "Adam.v1"}, **training}
    return make_config({"bert_ner": {"source": "trained"}}, more)


def labels_of(nlp: Language) -> tuple[str, ...]:
    component = nlp.get_pipe("bert_ner")
    assert isinstance(component, BertNER)
    return component.labels


def by_spacy(config: Path, output: Path) -> None:
    spacy_train(config, output)


def by_us(config: Path, output: Path) -> None:
    train(config, output)


@pytest.mark.parametrize(
    ("run", "callback", "expected"),
    [(by_spacy, True, NEW), (by_us, True, NEW), (by_us, False, NEW)],
    ids=["spacy train", "bert-ner train", "bert-ner train alone"],
)
def test_new_labels_are_learnt_by_config_alone(
    folder: Path, run: Callable[[Path, Path], None], callback: bool, expected: tuple[str, ...]
) -> None:
    config = sourcing()
    if callback:
        config["initialize"] = {"after_init": ADD_LABELS}
    config.to_disk(folder / "config.cfg")
    run(Path("config.cfg"), Path("out"))
    assert labels_of(spacy.load(folder / "out" / "model-last")) == expected


def test_what_spacy_train_says_without_it_works(folder: Path) -> None:
    sourcing().to_disk(folder / "config.cfg")
    with pytest.raises(
        ValueError, match=r"of type '(DATE|TIME)'.* \[initialize.after_init\] @callbacks = \"(.*)\";"
    ) as e:
        spacy_train(folder / "config.cfg", folder / "out")
    assert ADD_LABELS["@callbacks"] in str(e.value)


def test_what_was_learnt_stays(folder: Path) -> None:
    config = sourcing()
    config["initialize"] = {"after_init": ADD_LABELS}
    old, new = spacy.load(folder / "trained"), init_nlp(config)
    assert labels_of(new) == NEW
    words = LINES[0][0]
    before, after = (
        nlp.get_pipe("bert_ner").model.predict([Doc(nlp.vocab, words=words)]).dataXd  # type: ignore[attr-defined]
        for nlp in (old, new)
    )
    np.testing.assert_allclose(after[:, : before.shape[1]], before, rtol=1e-5)


@pytest.mark.parametrize(
    ("component", "training", "initialize", "expected"),
    [
        ({"source": "trained"}, {"frozen_components": ["bert_ner"]}, {"after_init": ADD_LABELS}, OLD),
        ({"source": "trained"}, {}, {"after_init": {**ADD_LABELS, "labels": ["DAY", "PER"]}}, (*OLD, "DAY")),
        ({"source": "trained"}, {"max_epochs": -1}, {"after_init": ADD_LABELS}, NEW),
        # From scratch, with labels that the config limits.
        (
            {"factory": "bert_ner", **NER},
            {},
            {"after_init": ADD_LABELS, "components": {"bert_ner": {"labels": ["PER"]}}},
            ("PER",),
        ),
    ],
    ids=["frozen", "labels by name", "stream", "from scratch"],
)
def test_which_components_get_which_labels(
    folder: Path, component: dict, training: dict, initialize: dict, expected: tuple[str, ...]
) -> None:
    config = sourcing(**training)
    config["components"] = {"bert_ner": component}
    config["initialize"] = initialize
    assert labels_of(init_nlp(config)) == expected


def test_debug_says_that_initialize_is_not_for_sourced_components(folder: Path) -> None:
    config = sourcing()
    config["initialize"] = {"components": {"bert_ner": {"labels": ["DATE"]}}}
    config.to_disk(folder / "config.cfg")
    code, printed = invoke("debug", "config.cfg", "--no-timing")
    assert code == 0
    assert "[initialize.components.bert_ner] has no effect" in " ".join(printed.split())


def invoke(*args: Any) -> tuple[int, str]:
    result = CliRunner().invoke(bert_ner_cli, list(map(str, args)))
    return result.exit_code, result.output


@pytest.mark.parametrize("components", [("bert_ner",), ("tagger", "bert_ner")], ids=["alone", "beside a tagger"])
def test_init_config_writes_a_config_that_trains_a_pipeline_further(
    tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch, components: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    nlp = make_pipeline(tiny_bert, components)
    if "tagger" in components:
        nlp.add_pipe("tensor_cleaner")
    nlp.to_disk(tmp_path / "trained")
    write_corpora(tmp_path)
    paths = ["--train", "train.spacy", "--dev", "dev.spacy"]
    assert invoke("init-config", "config.cfg", "--source", "trained", *paths, "--epochs", 1)[0] == 0
    text = (tmp_path / "config.cfg").read_text(encoding="utf8")
    config = load_config(tmp_path / "config.cfg").interpolate()
    assert config["initialize"]["after_init"]["@callbacks"] == ADD_LABELS["@callbacks"]
    assert config["nlp"]["lang"] == "en"
    shared = ["tok2vec", "bert_ner", "tensor_cleaner"]
    assert config["nlp"]["pipeline"] == (shared if "tagger" in components else ["bert_ner"])
    assert list(config["components"]) == config["nlp"]["pipeline"]
    assert {component["source"] for component in config["components"].values()} == {"trained"}
    assert "encoder" not in text.partition("[system]")[0]
    # A third of what training begins with.
    assert config["training"]["optimizer"]["learn_rate"]["initial_rate"] == 1e-4
    assert invoke("debug", "config.cfg", "--no-timing")[0] == 0
    for run, output in ((by_spacy, "a"), (by_us, "b")):
        run(tmp_path / "config.cfg", tmp_path / output)
        assert labels_of(spacy.load(tmp_path / output / "model-last")) == NEW
    assert (tmp_path / "a/model-last/bert_ner/model").read_bytes() == (
        tmp_path / "b/model-last/bert_ner/model"
    ).read_bytes()


def test_the_pipeline_that_is_trained_further_is_not_replaced(folder: Path) -> None:
    (folder / "training").mkdir()
    (folder / "trained").rename(folder / "training" / "model-best")
    paths = ["--train", "train.spacy", "--dev", "dev.spacy"]
    code, said = invoke("init-config", "config.cfg", "--source", "training/model-best", *paths)
    assert (code, "train config.cfg --output further" in said) == (0, True)
    # The other callback takes no labels: what is written fits both.
    assert dict(load_config("config.cfg")["initialize"]["after_init"]) == ADD_LABELS
    for output, why in (("training", "would delete it"), ("training/model-best/x", "lies in the pipeline")):
        code, said = invoke("train", "config.cfg", "--output", output, "--epochs", "1")
        assert (code, why in said, "components.bert_ner.source" in said) == (1, True, True), said
    assert (folder / "training" / "model-best" / "meta.json").exists()


def test_what_is_left_open_without_a_corpus_is_decided_in_training(folder: Path) -> None:
    assert (
        invoke("init-config", "config.cfg", "--source", "trained", "--train", "later.spacy", "--dev", "dev.spacy")[0]
        == 0
    )
    assert load_config("config.cfg")["training"]["max_steps"] == "auto"
    (folder / "train.spacy").rename(folder / "later.spacy")
    setting = "training.optimizer.learn_rate.initial_rate"
    completed = load_completed(Path("config.cfg"), {setting: "auto"}, gpu=False)
    recipe = choose_recipe(16, 1_000, further=True)
    assert dot_to_object(completed, setting) == recipe.learn_rate
    assert dot_to_object(completed, "training.batcher.size") == recipe.batch_words
    code, said = invoke("train", "config.cfg", "--output", "out", "--epochs", "1")
    assert code == 0, said


@pytest.mark.parametrize("scorer", ["spacy.ner_scorer.v1", "spacy-bert-ner.scorer.v1"])
def test_an_older_scorer_is_not_asked_for_what_it_does_not_tell(
    tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch, scorer: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_pipeline(tiny_bert).to_disk("trained")
    saved = Path("trained/config.cfg")
    saved.write_text(saved.read_text("utf8").replace("spacy-bert-ner.scorer.v1", scorer), encoding="utf8")
    write_corpora(tmp_path)
    paths = ["--train", "train.spacy", "--dev", "dev.spacy"]
    assert invoke("init-config", "config.cfg", "--source", "trained", *paths, "--epochs", 1)[0] == 0
    config = load_config("config.cfg")
    weights = {name: value for name, value in config["training"]["score_weights"].items() if value}
    is_ours = scorer.startswith("spacy-bert-ner")
    assert weights == ({"ents_f": 0.5, "raw_ents_f": 0.5} if is_ours else {"ents_f": 1.0})
    assert bool(config["corpora"]["dev"]["augmenter"]) == is_ours
    assert config["corpora"]["train"]["augmenter"]


def test_init_config_refuses_what_it_cannot_begin_with(folder: Path, tiny_bert: Path) -> None:
    spacy.blank("en").to_disk(folder / "blank")
    (folder / "empty").mkdir()
    (folder / "people.conll").write_text("Ann B-PER\n", encoding="utf8")
    (folder / "torn.spacy").write_bytes(b"half of it")
    cases: list[tuple[list[Any], str]] = [
        (["--encoder", "trained"], "To train the pipeline further: --source trained"),
        (["--encoder", "empty"], "empty holds no config.json"),
        (["--encoder", "./nowhere"], "There is no folder ./nowhere"),
        (["--encoder", "train.spacy"], "There is no folder train.spacy"),
        (["--source", tiny_bert], f"init-config config.cfg --encoder {tiny_bert}"),
        (["--source", "blank"], "blank holds no bert_ner"),
        (["--source", "nowhere"], "The pipeline nowhere cannot be loaded"),
        (["--encoder", tiny_bert, "--train", "people.conll"], "bert-ner convert people.conll people.spacy"),
        (["--encoder", tiny_bert, "--train", "torn.spacy"], "torn.spacy cannot be read"),
        (["--encoder", tiny_bert, "--train", "empty"], "empty holds no .spacy file"),
        ([], "found neither"),
        (["--source", "trained", "--encoder", tiny_bert], "found both"),
    ]
    for args, said in cases:
        code, printed = invoke("init-config", "config.cfg", *args)
        assert (code, said in " ".join(printed.split())) == (1, True), (args, printed)
    assert not (folder / "config.cfg").exists()
