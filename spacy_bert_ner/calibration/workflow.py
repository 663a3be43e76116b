"""The workflow step `calibrate`: fit confidences on both forms of the dev set, and make a promise by them."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bert_ner.arrays import Array
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.rawtext.retokenizing import both_forms, is_raw

from .comparison import describe_fit
from .entities import Decoded, JudgedEntities, decode_examples, entity_texts, tabulate_entities
from .fitting import Calibration, balance, fit_calibration
from .promising import PromiseRequest, judge_for, make_promise


def calibrate(
    nlp: Language, name: str, dev: Iterable[Example], train: Iterable[Doc], promise: PromiseRequest | None = None
) -> dict[str, Any]:
    """Fit the temperature and the offsets of a pipeline's component, in place, and make a promise for it.

    nlp (Language): The pipeline.
    name (str): Its `bert_ner` component.
    dev (Iterable[Example]): Gold documents that it was not trained on; each is used on its annotated tokens and as raw
        text, as both occur in use.
    train (Iterable[Doc]): The documents that it was trained on.
    promise (PromiseRequest | None): What is to be promised; None for nothing, which ends an earlier promise.
    RETURNS (dict[str, Any]): Measures before and after: see comparison.describe_fit; and "promise": None, or its state
        (see ner.promise.Promise) and its "rows" (see promising.PromiseRow).
    RAISES: ValueError where the pipeline finds no entity in what is annotated of the dev set, or no such promise can be
        asked for.
    """
    component: BertNER = nlp.get_pipe(name)  # type: ignore[assignment]
    labels = component.labels
    if promise is not None:
        promise.choose_labels(labels)
        if not component.settings.keep_promise:
            raise ValueError(f"[components.{name}] keep_promise = false, so no promise would be kept: set it to true")
    forms = (form for example in dev if not is_raw(example) for form in both_forms(nlp, example))
    decoded: Iterable[Decoded] = decode_examples(nlp, name, forms)
    if promise is not None:
        # They are looked at again, with what is fitted on them.
        decoded = list(decoded)
    entities = tabulate_entities(decoded)
    if not entities.text:
        raise ValueError(
            f"Component {name!r} finds no entity in what is annotated of the dev set, so there is nothing to "
            "calibrate: train it first"
        )
    fit = balanced_fit(entities, entity_texts(train), len(labels))
    fitted = fit(np.arange(len(entities.text)))
    offsets = dict(zip(labels, fitted.offsets.tolist(), strict=True))
    made = None
    if promise is not None:
        judged = judge_for(promise, decoded, labels, fitted.temperature, offsets, component.settings.threshold)
        made, rows = make_promise(promise, judged, labels)
    component.cfg["temperature"], component.cfg["offsets"] = fitted.temperature, offsets
    component.cfg["promise"] = made and made.to_state()
    measures = describe_fit(entities, fit, fitted, labels)
    return {**measures, "promise": {**made.to_state(), "rows": [vars(row) for row in rows]} if made else None}


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
