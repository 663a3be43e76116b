"""Labels for components that are sourced: spaCy initializes what is made from scratch, never what is sourced."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from spacy.language import Language
from spacy.training import Example
from spacy.util import get_sourced_components, logger, resolve_dot_names
from thinc.api import Config
from wasabi import msg

from .component import BertNER
from .lengths import init_nlp

# As many as spaCy itself looks at where the corpus is a stream.
STREAMED = 100


def build_label_adder(labels: Sequence[str] | None = None) -> Callable[[Language], Language]:
    """Add the training corpus's labels to the sourced `bert_ner` components: a callback for [initialize.after_init].

    labels (Sequence[str] | None): The labels; by default those of the training corpus.
    RETURNS (Callable[[Language], Language]): The callback.
    """

    def add(nlp: Language) -> Language:
        # While spaCy initializes the others, what is sourced is disabled, and so is what is frozen.
        frozen = nlp.config["training"]["frozen_components"]
        for name, new in add_labels(nlp, [name for name in nlp.disabled if name not in frozen], labels).items():
            logger.info("Added labels to the sourced component %s: %s", name, ", ".join(new))
        return nlp

    return add


def build_label_keeper(annotated: Sequence[str] | None = None) -> Callable[[Language], Language]:
    """Let the sourced `bert_ner` components keep their labels while they learn new ones: for [initialize.after_init].

    The training corpus's labels are added, as by `spacy-bert-ner.add_labels.v1`. Its `O` means "none of the annotated
    labels" only; for all others the component learns from a copy of itself as it is sourced.

    annotated (Sequence[str] | None): The labels that the corpus is annotated with, all of their entities; by default
        those that occur in it.
    RETURNS (Callable[[Language], Language]): The callback.
    """

    def keep(nlp: Language) -> Language:
        frozen = nlp.config["training"]["frozen_components"]
        names = [name for name in nlp.disabled if name not in frozen]
        labels = corpus_labels(nlp) if annotated is None else annotated
        for name, pipe in nlp.components:
            if name in names and isinstance(pipe, BertNER) and pipe.labels:
                pipe.keep_labels(labels)
                logger.info("The sourced component %s keeps its labels %s", name, ", ".join(pipe.labels))
        add_labels(nlp, names)
        return nlp

    return keep


def vector_width(pipe: BertNER) -> int:
    """RETURNS (int): The width of the vectors that a trained component reads its tags from."""
    # A listener is told its width only when it is initialized.
    scorer = pipe.model.get_ref("scorer")
    return next(node.get_dim("nI") for node in scorer.walk() if node.has_param("W"))


def add_labels(nlp: Language, names: Iterable[str], labels: Sequence[str] | None = None) -> dict[str, list[str]]:
    """Add labels to components that know others already, and keep what those have learnt.

    nlp (Language): The pipeline, with its whole config.
    names (Iterable[str]): Components; what is no `bert_ner` among them, or has no labels yet, stays as it is.
    labels (Sequence[str] | None): The labels; by default those of the training corpus, sorted.
    RETURNS (dict[str, list[str]]): By component, the labels that it did not have.
    """
    chosen = set(names)
    pipes = {
        name: pipe for name, pipe in nlp.components if name in chosen and isinstance(pipe, BertNER) and pipe.labels
    }
    if not pipes:
        return {}
    wanted = corpus_labels(nlp) if labels is None else labels
    new = {name: [label for label in wanted if label not in pipe.labels] for name, pipe in pipes.items()}
    for name, pipe in pipes.items():
        for label in new[name]:
            pipe.add_label(label)
    return {name: added for name, added in new.items() if added}


def corpus_labels(nlp: Language) -> list[str]:
    """RETURNS (list[str]): The entity types of the training corpus that the pipeline's config names, sorted."""
    config = nlp.config.interpolate()
    (corpus,) = resolve_dot_names(config, [config["training"]["train_corpus"]])
    examples: Iterable[Example] = corpus(nlp)
    if config["training"]["max_epochs"] == -1:
        examples = islice(examples, STREAMED)
    return sorted({ent.label_ for example in examples for ent in example.reference.ents})


def trained_further(config: Config) -> list[str]:
    """RETURNS (list[str]): The components of a training config that are sourced and not frozen."""
    config = config.interpolate()
    frozen = config.get("training", {}).get("frozen_components", [])
    return [name for name in get_sourced_components(config) if name not in frozen]


def initialize(config: Config, use_gpu: int) -> Language:
    """Make and initialize a config's pipeline as spaCy does, and give sourced components the corpus's labels.

    config (Config): Training config, variables not yet filled in.
    use_gpu (int): GPU, or -1 for the CPU.
    RETURNS (Language): The pipeline.
    """
    nlp = init_nlp(config, use_gpu=use_gpu)
    for name, new in add_labels(nlp, trained_further(config)).items():
        msg.info(f"{name} is sourced and gets the new labels {', '.join(new)}")
    return nlp
