"""Errors in the composition of a pipeline."""

from spacy.language import Language
from thinc.api import Config

from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.sourced import trained_further
from spacy_bert_ner.ner.upstream import listens

from .annotation import Finding


def inspect_order(nlp: Language) -> list[Finding]:
    """Check that there is a `bert_ner`, and that no listener runs after a `doc_cleaner` of its input.

    nlp (Language): An initialized pipeline.
    RETURNS (list[Finding]): The problems.
    """
    findings = []
    if not any(isinstance(pipe, BertNER) for _, pipe in nlp.pipeline):
        message = f"The pipeline ({', '.join(nlp.pipe_names)}) holds no bert_ner: is this the right config?"
        findings.append(Finding("error", "no_component", message))
    cleaner = None
    for name, pipe in nlp.pipeline:
        if nlp.get_pipe_meta(name).factory == "doc_cleaner" and "_.trf_data" in nlp.get_pipe_config(name)["attrs"]:
            cleaner = name
        elif cleaner and hasattr(pipe, "model") and listens(pipe.model):
            # Training does not run the cleaner and would not show the error.
            message = (
                f"{name} listens to the transformer, but runs after {cleaner}, which deletes its output: put {cleaner} "
                "last"
            )
            findings.append(Finding("error", "behind_cleaner", message))
    return findings


def inspect_sources(config: Config) -> list[Finding]:
    """Check for settings of [initialize.components] without effect: spaCy does not initialize sourced components.

    config (Config): Training config, before interpolation.
    RETURNS (list[Finding]): The problems.
    """
    settings = config.interpolate().get("initialize", {}).get("components", {})
    return [
        Finding(
            "warning",
            "initialize_unused",
            f"[initialize.components.{name}] has no effect, since {name} is sourced: spaCy initializes what is not. "
            'Labels come by [initialize.after_init] @callbacks = "spacy-bert-ner.add_labels.v1"',
        )
        for name in trained_further(config)
        if settings.get(name)
    ]
