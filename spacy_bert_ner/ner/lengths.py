"""Texts of any length in training: spaCy's limit guards components that need memory by the square, not ours."""

import sys
from collections.abc import Callable
from typing import Any

from spacy.language import Language
from spacy.training import initialize
from thinc.api import Config

ANY_LENGTH = "spacy-bert-ner.any_length.v1"


def build_length_lifter(then: Callable[[Language], Any] | None = None) -> Callable[[Language], Language]:
    """Let the pipeline tokenize texts of over a million characters: a callback for [initialize.before_init].

    then (Callable[[Language], Any] | None): Another callback, called afterwards.
    RETURNS (Callable[[Language], Language]): The callback.
    """

    def lift(nlp: Language) -> Language:
        lift_max_length(nlp)
        if then is not None:
            then(nlp)
        return nlp

    return lift


def lift_max_length(nlp: Language) -> None:
    """Let a pipeline tokenize texts of any length (nlp.max_length)."""
    nlp.max_length = sys.maxsize


def init_nlp(config: Config, *, use_gpu: int = -1) -> Language:
    """Make and initialize a config's pipeline as spaCy does, on texts of any length.

    config (Config): Training config, variables not yet filled in; its own `before_init` is called, too.
    use_gpu (int): GPU, or -1 for the CPU.
    RETURNS (Language): The pipeline; its config is as it was given.
    """
    try:
        nlp = initialize.init_nlp(config, use_gpu=use_gpu)
    except ValueError as error:
        # Only then, as a config that was changed and changed back is not saved in the same order.
        if "[E088]" not in str(error):
            raise
        nlp = _init_lifted(config, use_gpu)
    lift_max_length(nlp)
    return nlp


def _init_lifted(config: Config, use_gpu: int) -> Language:
    changed = config.copy()
    section = changed.setdefault("initialize", {})
    own = section.get("before_init")
    section["before_init"] = {"@callbacks": ANY_LENGTH, "then": own}
    nlp = initialize.init_nlp(changed, use_gpu=use_gpu)
    nlp.config["initialize"]["before_init"] = own
    return nlp
