"""The k most probable readings of a text, each as a Doc with its entities."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_bert_ner.arrays import Array, Ints
from spacy_bert_ner.decoding import k_best, tags_to_spans
from spacy_bert_ner.tags import Entity

from .annotations import set_entities, trim_whitespace
from .component import BertNER
from .decoded import DecodedBatch


class Reading(NamedTuple):
    """One reading of a text.

    probability (float): Its probability among all readings, at the component's temperature.
    doc (Doc): The text with the entities of this reading in doc.ents, ready for displaCy.
    """

    probability: float
    doc: Doc


def readings(nlp: Language, text: str | Doc | Span, k: int = 5, *, component: str | None = None) -> list[Reading]:
    """Find the most probable readings of a text: its entities, all together, and how probable they are.

    The probability is that of the whole reading, and exact: readings differ in at least one entity, and all there are
    sum to 1. It falls with the length of a text, so ask for a sentence. An entity's confidence is another thing: the
    sum over all readings that hold it, shifted by the calibration's offsets.

    nlp (Language): A pipeline with a `bert_ner`.
    text (str | Doc | Span): A text; or a document, or a sentence of one, which is then read in its context, and whose
        entities do not go beyond its ends.
    k (int): How many readings, at least 1.
    component (str | None): The name of the `bert_ner`, where the pipeline has several.
    RETURNS (list[Reading]): The best first; fewer than k where there are fewer.
    RAISES: ValueError where the pipeline has no `bert_ner` of that name, or k is below 1.
    """
    name = _find(nlp, component)
    pipe: BertNER = nlp.get_pipe(name)  # type: ignore[assignment]
    if isinstance(text, str):
        text = nlp(text, disable=nlp.pipe_names[nlp.pipe_names.index(name) :])
    span = text[:] if isinstance(text, Doc) else text
    if k < 1:
        raise ValueError(f"k is {k}: expected at least 1")
    if not len(span):
        return [Reading(1.0, span.as_doc())]
    batch = pipe.decode([span.doc])
    tags, probabilities = _combine(batch, span, k, pipe.cfg["temperature"])
    plain, found = span.as_doc(), dict[tuple[Entity, ...], float]()
    for own, probability in zip(tags, probabilities, strict=True):
        spans = tags_to_spans(batch.lattice, own, [len(own)])
        places = zip(*(field.tolist() for field in spans[1:]), strict=True)
        entities = (Entity(start, end, batch.lattice.labels[label]) for start, end, label in places)
        # Readings that differ in white space alone are one.
        kept = tuple(x for x in (trim_whitespace(plain, entity) for entity in entities) if x.start < x.end)
        found[kept] = found.get(kept, 0.0) + float(probability)
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return [Reading(probability, _with(plain, kept)) for kept, probability in ordered]


def _find(nlp: Language, chosen: str | None) -> str:
    names = [name for name, pipe in nlp.pipeline if isinstance(pipe, BertNER)]
    if chosen is None and len(names) == 1:
        return names[0]
    if chosen not in names:
        raise ValueError(
            f"component is {chosen!r}: the pipeline's bert_ner components are {', '.join(names) or 'none'}; name one"
        )
    return chosen


def _combine(batch: DecodedBatch, span: Span, k: int, temperature: float) -> tuple[Ints, Array]:
    """Join the best readings of a span's sentences, which are independent. RETURNS: (readings, tokens), (readings,)."""
    cuts = {span.start, span.end, *(int(i) for i in batch.first if span.start < i < span.end)}
    tags, probabilities = np.zeros((1, 0), dtype=np.int64), np.ones(1)
    for start, end in pairwise(sorted(cuts)):
        more, chances = k_best(batch.lattice, batch.logits[start:end], k, temperature)
        both = np.multiply.outer(probabilities, chances)
        order = np.argsort(-both, axis=None, kind="stable")[:k]
        left, right = np.unravel_index(order, both.shape)
        tags, probabilities = np.concatenate([tags[left], more[right]], axis=1), both.ravel()[order]
    return tags, probabilities


def _with(plain: Doc, entities: tuple[Entity, ...]) -> Doc:
    doc = plain.copy()
    set_entities(doc, entities, overwrite=True)
    return doc
