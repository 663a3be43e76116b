"""A check before a run that its corpora are annotated, and that dev holds entities."""

from collections.abc import Iterable
from itertools import islice

from spacy.language import Language
from spacy.training import Example
from spacy.util import resolve_dot_names
from wasabi import msg

from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.sourced import STREAMED

from .training_error import RunError

# The messages of `debug`, too.
NO_TOKENS = "{split} holds no tokens: check [paths] and [corpora]"
NO_ANNOTATION = "no token of {split} is annotated: was doc.ents set before it was saved?"
NO_DEV_ENTITIES = (
    "dev holds no entities: no F1 on it can rise above 0, so it does not tell which weights are best; name a dev set "
    "with entities by --paths.dev, or let `convert --dev-share 0.1` take one from the training data"
)


def require_annotation(nlp: Language) -> None:
    """Refuse corpora without any annotation where there is a `bert_ner` to train; warn of a dev set without entities.

    nlp (Language): The initialized pipeline, with its whole config.
    RAISES: RunError that names the corpus.
    """
    config = nlp.config.interpolate()
    training = config["training"]
    if not any(isinstance(pipe, BertNER) and name not in training["frozen_components"] for name, pipe in nlp.pipeline):
        return
    corpora = resolve_dot_names(config, [training["train_corpus"], training["dev_corpus"]])
    streamed = training["max_epochs"] == -1
    for split, corpus, most in zip(("train", "dev"), corpora, (STREAMED if streamed else None, None), strict=True):
        fault = find_fault(islice(corpus(nlp), most))
        if fault:
            raise RunError(fault.format(split=split))
    if not any(example.reference.ents for example in corpora[1](nlp)):
        msg.warn(NO_DEV_ENTITIES)


def find_fault(examples: Iterable[Example]) -> str:
    """RETURNS (str): What is wrong with a corpus; "" as soon as one token is annotated."""
    fault = NO_TOKENS
    for example in examples:
        if len(example.reference):
            fault = NO_ANNOTATION
        if example.reference.has_annotation("ENT_IOB"):
            return ""
    return fault
