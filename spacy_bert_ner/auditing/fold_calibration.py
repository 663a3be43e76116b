"""Calibration of a fold's model, on the dev set of its config, which is no part of the corpus that is audited."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import load_config, resolve_dot_names

from spacy_bert_ner.calibration.workflow import calibrate
from spacy_bert_ner.ner.lengths import lift_max_length
from spacy_bert_ner.training.plan import with_defaults


def calibrate_fold(nlp: Language, name: str, config: Path, overrides: dict[str, Any], train: Sequence[Doc]) -> str:
    """Calibrate a pipeline on a config's dev set, in place.

    nlp (Language): The pipeline.
    name (str): Its `bert_ner` component.
    config (Path), overrides (dict[str, Any]): The config, with its settings by dotted path.
    train (Sequence[Doc]): What it was trained on.
    RETURNS (str): Why it was not calibrated; "" where it was.
    """
    filled = with_defaults(load_config(config, overrides=overrides, interpolate=False))
    (corpus,) = resolve_dot_names(filled, [filled["training"]["dev_corpus"]])
    lift_max_length(nlp)
    try:
        calibrate(nlp, name, list(corpus(nlp)), train)
    except ValueError as error:
        # A model that finds nothing there can still say what it thinks of the annotation.
        return str(error)
    return ""
