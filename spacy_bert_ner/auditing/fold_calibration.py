"""Calibration of a fold's model, on the dev set of its config, which is no part of the corpus that is audited."""

from collections.abc import Sequence

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import resolve_dot_names
from thinc.api import Config

from spacy_bert_ner.calibration.workflow import calibrate
from spacy_bert_ner.ner.lengths import lift_max_length
from spacy_bert_ner.training.plan import with_defaults


def calibrate_fold(nlp: Language, name: str, config: Config, train: Sequence[Doc]) -> str:
    """Calibrate a pipeline on a config's dev set, in place.

    nlp (Language): The pipeline.
    name (str): Its `bert_ner` component.
    config (Config): The config, variables not yet filled in.
    train (Sequence[Doc]): What it was trained on.
    RETURNS (str): Why it was not calibrated; "" where it was.
    """
    filled = with_defaults(config)
    (corpus,) = resolve_dot_names(filled, [filled["training"]["dev_corpus"]])
    lift_max_length(nlp)
    try:
        calibrate(nlp, name, list(corpus(nlp)), train)
    except ValueError as error:
        # A model that finds nothing there can still say what it thinks of the annotation.
        return str(error)
    return ""
