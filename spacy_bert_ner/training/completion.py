"""Values for a config's "auto" settings, which follow from the sizes of its encoder and of its training corpus."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
from spacy.util import dict_to_dot, load_config
from thinc.api import Config
from wasabi import msg

from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.sourced import vector_width

from .distillation.texts import Texts
from .plan import (
    EVAL_FREQUENCY,
    MAX_STEPS,
    TOTAL_STEPS,
    StepPlan,
    corpus_words,
    count_batches,
    plan_steps,
    read_annotated,
    with_defaults,
)
from .recipes import AUTO, BASE, MIN_STEPS, Recipe, choose_recipe, encoder_width, named_encoders
from .training_error import RunError

# The default number of evaluations in a run.
EVALUATIONS = 6
STEP_SETTINGS = frozenset(StepPlan(1, 1, 1, 1, 1).overrides())
# The settings that may be AUTO.
OPEN_SETTINGS = STEP_SETTINGS.union(BASE.overrides())


@dataclass(frozen=True)
class Completion:
    """The completion of a config.

    overrides (dict[str, Any]): Settings by dotted path.
    plan (StepPlan | None): The steps; None where the config has them.
    words (int | None): Words of the training corpus and of the texts beside it, where they were counted.
    """

    overrides: dict[str, Any]
    plan: StepPlan | None = None
    words: int | None = None

    def describe(self) -> list[str]:
        """RETURNS (list[str]): The decisions, as sentences."""
        said = []
        by_size = {name: value for name, value in self.overrides.items() if name not in STEP_SETTINGS}
        if by_size:
            corpus = f"the corpus's ({self.words} words)" if self.words is not None else "the corpus's, taken for large"
            listed = ", ".join(f"{name.removeprefix('training.')} = {value:g}" for name, value in by_size.items())
            said.append(f"By the encoder's size and {corpus}: {listed}")
        if self.plan:
            said.append(
                f"{self.plan.total} steps of {self.plan.epoch} an epoch ({self.plan.warmup} of them warm-up), an "
                f"evaluation every {self.plan.evaluation}, ended after {self.plan.patience} without a better score"
            )
        return said


def complete(
    config: Config,
    *,
    gpu: bool = False,
    choose: Callable[[int | None], Recipe] | None = None,
    epochs: float | None = None,
    evaluations: int | None = None,
    texts: Texts | None = None,
) -> Completion:
    """Decide a config's "auto" settings by the sizes of its encoder and of its training corpus.

    config (Config): Training config, variables not yet filled in.
    gpu (bool): Whether training is to run on a GPU.
    choose (Callable[[int | None], Recipe] | None): The recipe for a corpus of so many words, where the caller knows
        the encoder; by default that for the config's encoder.
    epochs (float | None): Passes over the training corpus; all settings of steps then follow from them. By default
        only "auto" ones are set, from max_epochs where that is set and else from the recipe's epochs, with a minimum
        of MIN_STEPS.
    evaluations (int | None): Evaluations in the whole run.
    texts (Texts | None): What an epoch reads beside the training corpus.
    RETURNS (Completion): Values of the "auto" settings, of the steps with `epochs`, and of the evaluation interval
        with `evaluations`.
    RAISES: RunError where the size of encoder or corpus cannot be found out; OSError and ValueError where their files
        cannot be read.
    """
    settings = dict_to_dot(with_defaults(config))
    wanted = open_settings(config)
    wanted |= STEP_SETTINGS if epochs is not None else set()
    wanted |= {EVAL_FREQUENCY} if evaluations is not None else set()
    limit = settings["training.max_epochs"]
    epochs = limit if epochs is None and limit > 0 else epochs
    lays_out = MAX_STEPS in wanted
    has_recipe = bool(wanted - STEP_SETTINGS) or (lays_out and epochs is None)
    # Of a streamed corpus, whose steps are said, the size is not to be known.
    examples = read_annotated(config) if lays_out or (has_recipe and limit != -1) else []
    annotated = corpus_words(examples)
    more = texts.count_words(settings["nlp.lang"]) if texts and examples else 0
    words = annotated + more or None
    recipe, plan = None, None
    if has_recipe:
        recipe = choose(words) if choose else config_recipe(config, words, gpu=gpu)
    values = recipe.overrides() if recipe else {}
    if lays_out:
        known = override(config, {name: value for name, value in values.items() if name in wanted})
        batches = math.ceil(count_batches(known, examples) * (1 + more / annotated))
        plan = plan_run(batches, recipe, epochs, evaluations)
        values |= plan.overrides()
    elif wanted & STEP_SETTINGS:
        # The config sets the number of steps, and leaves some of the other settings "auto".
        steps = settings[MAX_STEPS]
        values |= plan_run(steps, None, 1, evaluations).overrides() | {TOTAL_STEPS: steps}
    return Completion({name: values[name] for name in sorted(wanted)}, plan, words)


def plan_run(epoch: int, recipe: Recipe | None, epochs: float | None, evaluations: int | None) -> StepPlan:
    """RETURNS (StepPlan): The steps for so many epochs, as the caller or else as the recipe has it."""
    evaluations = evaluations or EVALUATIONS
    if epochs is not None:
        return plan_steps(epoch, epochs, evaluations)
    assert recipe is not None
    return plan_steps(epoch, recipe.epochs, evaluations, MIN_STEPS)


def load_completed(path: Path, overrides: dict[str, Any], *, gpu: bool, **asked: Any) -> Config:
    """Load a training config, complete it, and print the decisions.

    path (Path): The config.
    overrides (dict[str, Any]): Its settings, by dotted path.
    gpu (bool): Whether training is to run on a GPU.
    asked (Any): Epochs and evaluations: see `complete`.
    RETURNS (Config): The config, variables not filled in.
    RAISES: As `complete`.
    """
    config = load_config(path, overrides=overrides, interpolate=False)
    completion = complete(config, gpu=gpu, **asked)
    for sentence in completion.describe():
        msg.info(sentence)
    # An override of a single setting takes precedence over what follows from epochs.
    said = {name for name, value in overrides.items() if value != AUTO}
    chosen = {name: value for name, value in completion.overrides.items() if name not in said}
    return override(config, chosen) if chosen else config


def open_settings(config: Config) -> set[str]:
    """RETURNS (set[str]): A config's "auto" settings, by dotted path; its variables may not be filled in."""
    settings = dict_to_dot(config.interpolate())
    return {name for name in OPEN_SETTINGS if settings.get(name) == AUTO}


def override(config: Config, values: dict[str, Any]) -> Config:
    """RETURNS (Config): A copy of a config, variables not filled in, with overrides by dotted path."""
    return Config().from_str(config.to_str(interpolate=False), overrides=values, interpolate=False)


def config_recipe(config: Config, words: int | None, *, gpu: bool) -> Recipe:
    """Choose the recipe by a config's encoder, the widest where there are several, or by what it trains further.

    config (Config): Training config.
    words (int | None): As in `choose_recipe`, as is `gpu`.
    RETURNS (Recipe): The recipe.
    RAISES: RunError where the config has neither a pretrained encoder nor a trained `bert_ner`; OSError and ValueError
        where the one that it names is not there.
    """
    components = config.interpolate().get("components", {})
    widths = [encoder_width(name) for name in named_encoders(components)]
    further = [] if widths else sourced_widths(components)
    if not widths and not further:
        missing = ", ".join(f"--{name}" for name in BASE.overrides())
        raise RunError(
            "The config has no pretrained encoder, and no trained bert_ner, whose size could decide what it leaves "
            f"open: say it with {missing} and --{MAX_STEPS}, or have a config written by `init-config`"
        )
    return choose_recipe(max(widths or further), words, gpu=gpu, further=not widths)


def sourced_widths(components: Mapping[str, dict[str, Any]]) -> list[int]:
    """RETURNS (list[int]): The widths of the encoders of sourced `bert_ner`. components: A config's, filled in."""
    sourced = {name: each for name, each in components.items() if "source" in each}
    # Each is loaded once, however many of its components are sourced.
    pipelines = {source: dict(spacy.load(source).pipeline) for source in {each["source"] for each in sourced.values()}}
    pipes = [pipelines[each["source"]].get(each.get("component", name)) for name, each in sourced.items()]
    return [vector_width(pipe) for pipe in pipes if isinstance(pipe, BertNER)]
