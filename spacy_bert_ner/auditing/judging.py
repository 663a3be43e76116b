"""What a pipeline says of annotated documents that it was not trained on: posteriors of annotated and other spans."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bert_ner.calibration.entities import decode_examples
from spacy_bert_ner.decoding import Spans
from spacy_bert_ner.ner.annotations import MISSING
from spacy_bert_ner.ner.decoded import DecodedBatch
from spacy_bert_ner.ner.span_judgement import SpanKey, judge_likely_spans
from spacy_bert_ner.tags import Entity

from .places import LEAST_POSTERIOR, SpanPosteriors


def judge_annotation(nlp: Language, name: str, docs: Sequence[Doc]) -> Iterator[SpanPosteriors]:
    """Compute the posteriors of a gold corpus's spans, as a pipeline sees its tokens.

    nlp (Language): The pipeline, calibrated.
    name (str): Its `bert_ner` component.
    docs (Sequence[Doc]): Gold documents that it was not trained on.
    YIELDS (SpanPosteriors): Of each document.
    RAISES: ValueError where a component before `bert_ner` merges or splits tokens.
    """
    examples = [Example(_without_annotation(nlp, doc), doc) for doc in docs if len(doc)]
    judged = (each for some, batch in decode_examples(nlp, name, examples) for each in _judge(nlp, name, some, batch))
    for doc in docs:
        yield next(judged) if len(doc) else SpanPosteriors((), {})


def _without_annotation(nlp: Language, doc: Doc) -> Doc:
    return Doc(nlp.vocab, words=[token.text for token in doc], spaces=[bool(token.whitespace_) for token in doc])


def _judge(nlp: Language, name: str, examples: Sequence[Example], batch: DecodedBatch) -> Iterator[SpanPosteriors]:
    references = [example.reference for example in examples]
    for example in examples:
        if len(example.predicted) != len(example.reference):
            raise ValueError(
                f"A component before {name!r} merges or splits tokens, so that annotation and posteriors are of "
                "different ones: take it out of the pipeline, or put it behind"
            )
    # Sequences of a document follow each other: where each begins among the batch's tokens, and its document.
    first = np.cumsum(batch.lengths) - batch.lengths
    bounds = np.cumsum([0, *map(len, references)])
    owner = np.searchsorted(bounds, first, side="right") - 1
    gold = [_known(doc, batch.lattice.labels) for doc in references]
    keys = _gold_keys(gold, batch, first, bounds)
    state = nlp.get_pipe(name).cfg  # type: ignore[attr-defined]
    spans, posterior = judge_likely_spans(batch, state, LEAST_POSTERIOR, keys.values())
    by_document: list[dict[Entity, float]] = [{} for _ in references]
    for (sequence, start, end, label), value in zip(_keys(spans), posterior.tolist(), strict=True):
        offset = int(first[sequence] - bounds[owner[sequence]])
        entity = Entity(offset + start, offset + end, batch.lattice.labels[label])
        by_document[owner[sequence]][entity] = value
    for doc, (known, others), found in zip(references, gold, by_document, strict=True):
        yield SpanPosteriors(tuple(known), _without_unknown(doc, known, others, found), tuple(others))


def _keys(spans: Spans) -> Iterable[SpanKey]:
    return zip(*(field.tolist() for field in spans), strict=True)


def _known(doc: Doc, labels: Sequence[str]) -> tuple[list[Entity], list[Entity]]:
    """RETURNS (tuple[list[Entity], list[Entity]]): Annotated entities of types that a model knows, and the others."""
    gold = [Entity(ent.start, ent.end, ent.label_) for ent in doc.ents]
    return [each for each in gold if each.label in labels], [each for each in gold if each.label not in labels]


def _gold_keys(
    gold: Sequence[tuple[list[Entity], list[Entity]]], batch: DecodedBatch, first: np.ndarray, bounds: np.ndarray
) -> dict[tuple[int, Entity], SpanKey]:
    """Place annotated entities in the batch's sequences; those that cross the end of one are impossible, and left out.

    RETURNS (dict[tuple[int, Entity], SpanKey]): By document and entity.
    """
    index = {label: i for i, label in enumerate(batch.lattice.labels)}
    keys = {}
    for document, (known, _) in enumerate(gold):
        for entity in known:
            start, end = int(bounds[document]) + entity.start, int(bounds[document]) + entity.end
            sequence = int(np.searchsorted(first + batch.lengths, start, side="right"))
            begin = int(first[sequence])
            if end <= begin + int(batch.lengths[sequence]):
                keys[document, entity] = (sequence, start - begin, end - begin, index[entity.label])
    return keys


def _without_unknown(
    doc: Doc, known: Sequence[Entity], unjudged: Sequence[Entity], found: dict[Entity, float]
) -> dict[Entity, float]:
    """Leave out spans that contradict no annotation; entities that no legal sequence can have get a posterior of 0."""
    annotated = {i for entity in known for i in range(entity.start, entity.end)}
    taken = {i for entity in unjudged for i in range(entity.start, entity.end)}
    unknown = {token.i for token in doc if token.ent_iob == MISSING}

    def contradicts(entity: Entity) -> bool:
        own = range(entity.start, entity.end)
        return taken.isdisjoint(own) and (unknown.isdisjoint(own) or not annotated.isdisjoint(own))

    kept = {entity: value for entity, value in found.items() if contradicts(entity)}
    return {**dict.fromkeys(known, 0.0), **kept}
