"""Trained pipelines as teachers."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_bert_ner.decoding import Lattice
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.teacher import LogProbs, Teacher, translate_tags
from spacy_bert_ner.storage.sources import pipeline_folder
from spacy_bert_ner.training.training_error import RunError


def require_pipeline(option: str, name: str) -> None:
    """RAISES: RunError where what an option names is no saved pipeline. name (str): Folder or package."""
    if pipeline_folder(name) is None:
        raise RunError(
            f"{option} {name}: there is no such pipeline, expected the folder or package of a trained one, such as "
            "training/model-best"
        )


def load_teacher(name: str) -> Teacher:
    """Load a pipeline's `bert_ner`.

    name (str): Folder or package of the pipeline.
    RETURNS (Teacher): The component, with what it listens to.
    RAISES: RunError where the pipeline cannot be loaded, or has not one trained `bert_ner`.
    """
    try:
        nlp = spacy.load(name)
    except (OSError, ValueError) as error:
        raise RunError(f"The teacher {name} cannot be loaded: {error}") from error
    pipe = only_recognizer(nlp, f"The teacher {name}")
    if not pipe.labels:
        raise RunError(f"The teacher {name} has no entity types: expected a trained pipeline")
    feeding = tuple(each for _, each in nlp.pipeline if pipe.name in getattr(each, "listening_components", ()))
    return Teacher(pipe.model, pipe.lattice, name, nlp.vocab, feeding)


def only_recognizer(nlp: Language, what: str, frozen: Sequence[str] = ()) -> BertNER:
    """Find the one `bert_ner` of a pipeline.

    nlp (Language): The pipeline.
    what (str): What errors call it.
    frozen (Sequence[str]): Components that do not count.
    RETURNS (BertNER): The component.
    RAISES: RunError where there is none, or several; or where it learns from another model already.
    """
    found = {name: pipe for name, pipe in nlp.pipeline if isinstance(pipe, BertNER) and name not in frozen}
    if len(found) != 1:
        raise RunError(
            f"{what} has {' and '.join(found) or 'no bert_ner'}, expected one component of the factory bert_ner among "
            f"{', '.join(nlp.pipe_names) or 'nothing'}"
        )
    (pipe,) = found.values()
    if pipe.teaching is not None:
        raise RunError(
            f"{what} is to keep its labels already, by the config's spacy-bert-ner.keep_labels.v1, and can learn from "
            "one thing alone: remove that callback from [initialize.after_init], or use `train` without --keep"
        )
    return pipe


class Teachers:
    """Several teachers as one: the mean of their distributions over the labels that all of them know.

    teachers (Sequence[Teacher]): At least one.
    RAISES: RunError where their tag schemes differ, or no label is common to all.
    """

    def __init__(self, teachers: Sequence[Teacher]) -> None:
        first = teachers[0]
        for other in teachers:
            if other.lattice.scheme != first.lattice.scheme:
                raise RunError(
                    f"The teacher {first.name} has the tag scheme {first.lattice.scheme.name}, {other.name} has "
                    f"{other.lattice.scheme.name}: their distributions cannot be averaged, expected one scheme"
                )
        common = [label for label in first.lattice.labels if all(label in each.lattice.labels for each in teachers)]
        if not common:
            listed = "; ".join(f"{each.name}: {', '.join(each.lattice.labels)}" for each in teachers)
            raise RunError(f"No label is common to all teachers ({listed})")
        self._teachers = teachers
        self.lattice = Lattice(first.lattice.scheme, tuple(common))

    def log_probs(self, docs: Sequence[Doc]) -> LogProbs:
        """RETURNS (LogProbs): Logarithms of the mean distributions. (tokens, tags) docs (Sequence[Doc]): Documents."""
        found = [translate_tags(each.log_probs(docs), each.lattice, self.lattice) for each in self._teachers]
        return (reduce(np.logaddexp, found) - np.log(len(found))).astype(np.float32)
