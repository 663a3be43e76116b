"""What a config leaves open is decided in one way, whoever asks: by the sizes of encoder and corpus."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.util import load_config, load_model_from_config
from thinc.api import Config, ConfigValidationError
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.training.completion import OPEN_SETTINGS, STEP_SETTINGS, complete, load_completed, open_settings
from spacy_bert_ner.training.plan import plan_steps
from spacy_bert_ner.training.recipes import BASE, MIN_STEPS, SMALL, Recipe, choose_recipe, encoder_width
from spacy_bert_ner.training.training_error import RunError

RELEASE_CONFIG = Path(__file__).parents[2] / "configs" / "bert.cfg"
# Of CoNLL-2003's training set.
CONLL_WORDS = 203_621
LEARN_RATE = "training.optimizer.learn_rate.initial_rate"
TOTAL_STEPS = "training.optimizer.learn_rate.total_steps"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A training corpus of 3,000 words in documents of 100."""
    vocab = spacy.blank("en").vocab
    docs = [Doc(vocab, words=["Anna", *["met"] * 99], ents=["B-PER", *["O"] * 99]) for _ in range(30)]
    DocBin(docs=docs).to_disk(tmp_path / "train.spacy")
    return tmp_path / "train.spacy"


def load(corpus: Path, encoder: Path | str, **overrides: Any) -> Config:
    paths = {"paths.train": str(corpus), "paths.encoder": str(encoder)}
    return load_config(RELEASE_CONFIG, overrides={**paths, **overrides}, interpolate=False)


def test_the_release_config_leaves_open_what_sizes_decide_and_nothing_else() -> None:
    assert open_settings(load_config(RELEASE_CONFIG, interpolate=False)) == OPEN_SETTINGS


@pytest.mark.parametrize(
    ("width", "gpu", "recipe"),
    [
        (384, False, SMALL),
        (511, False, SMALL),
        (512, False, BASE),
        (1024, False, BASE),
        (None, False, BASE),
        (384, True, Recipe(SMALL.learn_rate, SMALL.head_factor, SMALL.epochs, 2000)),
    ],
)
def test_the_recipe_follows_the_width(width: int | None, gpu: bool, recipe: Recipe) -> None:
    assert choose_recipe(width, gpu=gpu) == recipe
    assert choose_recipe(width, CONLL_WORDS, gpu=gpu) == recipe


@pytest.mark.parametrize(("width", "rate"), [(384, 1e-4), (768, 1.7e-5)])
def test_what_is_trained_already_moves_at_a_third_of_the_rate(width: int, rate: float) -> None:
    recipe = choose_recipe(width, CONLL_WORDS)
    assert choose_recipe(width, CONLL_WORDS, further=True) == replace(recipe, learn_rate=rate)


@pytest.mark.parametrize("width", [384, 768])
def test_the_batch_follows_the_words(width: int) -> None:
    recipes = [choose_recipe(width, words) for words in (1, 1_500, 4_500, 15_000, 45_000, CONLL_WORDS)]
    assert {(recipe.learn_rate, recipe.head_factor, recipe.epochs) for recipe in recipes} == {
        (recipes[-1].learn_rate, recipes[-1].head_factor, recipes[-1].epochs)
    }
    batches = [recipe.batch_words for recipe in recipes]
    assert batches == sorted(batches)
    assert batches[0] < batches[-1]
    # Small batches are for few updates, whatever the device.
    assert choose_recipe(width, 1_500, gpu=True) == recipes[1]


@pytest.mark.parametrize("epoch", [1, 2, 6, 60])
def test_a_plan_has_its_fewest_steps_and_outlasts_its_warm_up(epoch: int) -> None:
    for least in (0, 3, 300):
        plan = plan_steps(epoch, 3, 6, least)
        assert plan.total >= max(0.9 * 3 * epoch, 0.9 * least)
        # Patience counts from the evaluation before the first step.
        assert plan.patience > plan.warmup
        assert plan.patience >= plan.warmup + plan.evaluation or plan.patience >= plan.total // 2


@pytest.mark.parametrize(
    ("sizes", "width"),
    [({"hidden_size": 384}, 384), ({"model_type": "distilbert", "dim": 768}, 768), ({"model_type": "bert"}, 768)],
)
def test_the_width_is_where_the_kind_of_encoder_has_it(sizes: dict[str, Any], width: int, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(sizes), encoding="utf8")
    assert encoder_width(str(tmp_path)) == width


@pytest.mark.parametrize(("content", "error"), [(None, FileNotFoundError), ("{}", ValueError), ("{", ValueError)])
def test_a_width_that_is_not_to_be_known_is_an_error(content: str | None, error: type, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content, encoding="utf8")
    with pytest.raises(error, match=r"config\.json"):
        encoder_width(str(tmp_path))


def test_every_open_setting_gets_a_number(corpus: Path, tiny_bert: Path) -> None:
    completion = complete(load(corpus, tiny_bert))
    recipe = choose_recipe(16, 3_000)
    # 3,000 words in documents of 100.
    plan = plan_steps(15, recipe.epochs, 6, MIN_STEPS)
    assert completion.overrides == {**recipe.overrides(), **plan.overrides()}
    assert completion.plan == plan
    sizes, steps = completion.describe()
    assert "the corpus's (3000 words)" in sizes
    assert f"{plan.total} steps of 15 an epoch" in steps


def test_what_is_said_stays(corpus: Path, tiny_bert: Path) -> None:
    given: dict[str, Any] = {LEARN_RATE: 0.01, "training.batcher.size": 300, "training.patience": 7}
    config = load_completed(
        RELEASE_CONFIG, {"paths.train": str(corpus), "paths.encoder": str(tiny_bert), **given}, gpu=False
    )
    assert open_settings(config) == set()
    training = config["training"]
    assert (training["optimizer"]["learn_rate"]["initial_rate"], training["batcher"]["size"]) == (0.01, 300)
    # 3,000 words in batches of 300.
    plan = plan_steps(10, SMALL.epochs, 6, MIN_STEPS)
    assert (training["max_steps"], training["patience"]) == (plan.total, 7)


def test_epochs_lay_out_the_steps_of_any_config(corpus: Path, tiny_bert: Path) -> None:
    closed = load(corpus, tiny_bert, **SMALL.overrides(), **plan_steps(10, 3, 6).overrides())
    assert complete(closed).overrides == {}
    assert complete(closed, epochs=2, evaluations=2).overrides == plan_steps(3, 2, 2).overrides()
    assert set(complete(closed, evaluations=2).overrides) == {"training.eval_frequency"}
    # What is said of epochs holds: there are no fewest steps.
    assert complete(load(corpus, tiny_bert, **{"training.max_epochs": 2})).plan == plan_steps(15, 2, 6)


def test_steps_that_are_said_need_no_size(corpus: Path, tiny_bert: Path) -> None:
    said = {"training.max_steps": 100}
    assert complete(load(corpus, tiny_bert, **said)).words == 3_000
    completion = complete(load(corpus, tiny_bert, **said, **{"training.max_epochs": -1}))
    assert "taken for large" in completion.describe()[0]
    assert completion.overrides["training.batcher.size"] == SMALL.batch_words
    assert completion.overrides[TOTAL_STEPS] == 100
    assert completion.overrides["training.optimizer.learn_rate.warmup_steps"] == 10
    assert set(completion.overrides) == OPEN_SETTINGS - {"training.max_steps"}
    assert completion.plan is None


def test_no_size_is_guessed(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"nowhere"):
        complete(load(corpus, tmp_path / "nowhere"))
    sourced = load(corpus, "")
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "trained")
    sourced["components"] = {name: {"source": str(tmp_path / "trained")} for name in ("sentencizer", "missing")}
    with pytest.raises(RunError, match=r"has no pretrained encoder.*--training\.batcher\.size"):
        complete(sourced)
    assert set(complete(sourced, choose=lambda _: BASE).overrides) == OPEN_SETTINGS
    with pytest.raises(RunError, match="max_epochs = -1"):
        complete(load(corpus, "", **{"training.max_epochs": -1}), choose=lambda _: BASE)
    DocBin(docs=[]).to_disk(corpus)
    with pytest.raises(RunError, match="train holds no tokens"):
        complete(load(corpus, ""), choose=lambda _: BASE)


def test_spacy_names_a_setting_that_is_open(corpus: Path, tiny_bert: Path) -> None:
    """Its own commands take what is completed."""
    with pytest.raises(ConfigValidationError, match="auto"):
        load_model_from_config(load(corpus, tiny_bert), auto_fill=True)
    completed = load_completed(RELEASE_CONFIG, {"paths.train": str(corpus), "paths.encoder": str(tiny_bert)}, gpu=False)
    assert load_model_from_config(completed, auto_fill=True).pipe_names == ["bert_ner"]


def test_train_debug_and_init_config_decide_the_same(corpus: Path, tiny_bert: Path, tmp_path: Path) -> None:
    paths = ["--paths.train", corpus, "--paths.dev", corpus, "--paths.encoder", tiny_bert]
    steps = ["--epochs", 1, "--evaluations", 1]

    def invoke(*args: Any) -> str:
        result = CliRunner().invoke(bert_ner_cli, list(map(str, args)))
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    config = tmp_path / "config.cfg"
    invoke("init-config", config, "--encoder", tiny_bert, "--train", corpus, "--dev", corpus, *steps)
    printed = invoke(
        "train", RELEASE_CONFIG, "--output", tmp_path / "out", *paths, *steps, "--training.batcher.size", "auto"
    )
    written, trained = load_config(config), load_config(tmp_path / "out" / "model-last" / "config.cfg")
    for section in ("optimizer", "batcher", "max_steps", "patience", "eval_frequency"):
        assert written["training"][section] == trained["training"][section]
    assert written["training"]["optimizer"]["learn_rate"]["initial_rate"] == SMALL.learn_rate
    assert "15 steps of 15 an epoch (1 of them warm-up), an evaluation every 15" in printed
    assert "steps of 15 an epoch" in invoke("debug", RELEASE_CONFIG, "--no-timing", *paths)


@pytest.mark.parametrize("epochs", ["0", "-1", "nan", "inf", "many"])
def test_epochs_that_are_no_number_are_refused(epochs: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(bert_ner_cli, ["train", str(RELEASE_CONFIG), "-o", str(tmp_path), "--epochs", epochs])
    assert (result.exit_code, f"--epochs {epochs}: expected a number above 0" in result.output) == (1, True)


def test_without_a_corpus_the_steps_stay_open(tiny_bert: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.cfg"
    args = ["init-config", config, "--encoder", tiny_bert, "--train", tmp_path / "later.spacy", "--epochs", "2"]
    result = CliRunner().invoke(bert_ner_cli, list(map(str, args)))
    assert result.exit_code == 0
    assert f"bert-ner train {config} --epochs 2" in result.stderr
    assert open_settings(load_config(config, interpolate=False)) == {*STEP_SETTINGS, "training.batcher.size"}
