"""The workflow step `calibrate`: fit a component's temperature and offsets on both forms of the dev set."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bert_ner.arrays import Array
from spacy_bert_ner.rawtext.retokenizing import both_forms, is_raw

from .comparison import describe_fit
from .entities import JudgedEntities, entity_texts, judge_entities
from .fitting import Calibration, balance, fit_calibration


def calibrate(nlp: Language, name: str, dev: Iterable[Example], train: Iterable[Doc]) -> dict[str, Any]:
    """Fit the temperature and the offsets of a pipeline's component, in place.

    nlp (Language): The pipeline.
    name (str): Its `bert_ner` component.
    dev (Iterable[Example]): Gold documents that it was not trained on; each is used on its annotated tokens and as raw
        text, as both occur in use.
    train (Iterable[Doc]): The documents that it was trained on.
    RETURNS (dict[str, Any]): Measures before and after: see report.describe_fit.
    RAISES: ValueError where the pipeline finds no entity in what is annotated of the dev set.
    """
    forms = (form for example in dev if not is_raw(example) for form in both_forms(nlp, example))
    entities = judge_entities(nlp, name, forms)
    if not entities.text:
        raise ValueError(
            f"Component {name!r} finds no entity in what is annotated of the dev set, so there is nothing to "
            "calibrate: train it first"
        )
    component: Any = nlp.get_pipe(name)
    labels: tuple[str, ...] = component.labels
    fit = balanced_fit(entities, entity_texts(train), len(labels))
    fitted = fit(np.arange(len(entities.text)))
    component.cfg["temperature"] = fitted.temperature
    component.cfg["offsets"] = dict(zip(labels, fitted.offsets.tolist(), strict=True))
    return describe_fit(entities, fit, fitted, labels)


def balanced_fit(entities: JudgedEntities, seen: set[str], n_labels: int) -> Callable[[Array], Calibration]:
    """Build the fit of this project, in which entities seen in training and unseen ones have the same total weight.

    Future texts hold more unseen names than a dev set from the same days' news as the training set. Equal weights fit
    for them, and cost the dev set little. An entity in both forms of its document has half the weight in each, as the
    second adds little evidence.

    entities (JudgedEntities): Those of the dev set.
    seen (set[str]): Texts of the training set's entities.
    n_labels (int): Number of labels.
    RETURNS (Callable[[Array], Calibration]): Indices of the entities to learn from, to what is fitted on them.
    """
    is_seen = np.array([text in seen for text in entities.text])
    share = 0.5 if entities.raw.any() else 1.0

    def fit(chosen: Array) -> Calibration:
        own = entities.table.take(chosen), entities.right[chosen], entities.label[chosen]
        return fit_calibration(*own, n_labels, share * balance(is_seen[chosen]))

    return fit
