"""How unsure a model is of texts, of which types, and where they lie among each other."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from spacy_bert_ner.arrays import Array, Floats
from spacy_bert_ner.data.exports.tasks import MarkedSpan
from spacy_bert_ner.encoder.vectors import PieceVectors, first_pieces
from spacy_bert_ner.ner.annotations import DocEntities
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.span_judgement import judge_likely_spans
from spacy_bert_ner.ner.streaming import MAX_BATCH_WORDS, batch_documents

# The entropy of a span below it is next to nothing, and there are many of them.
_LEAST_POSTERIOR = 0.01
# Digits of a confidence: with more, the output would depend on how texts were batched.
_DIGITS = 6


@dataclass(frozen=True, eq=False)
class TextDoubts:
    """What a model says of a text.

    words (int): Its tokens that are not white space; none of a blank text, which nobody can annotate.
    entropy (Floats): By label, the summed entropy of its spans, in nats. (labels,)
    expected (Floats): By label, how many entities it is expected to hold. (labels,)
    vector (ndarray): The mean of its words' vectors, floats of 32 bits. (width,)
    entities (tuple[MarkedSpan, ...]): The model's best reading, with confidences.
    """

    words: int
    entropy: Floats
    expected: Floats
    vector: Array
    entities: tuple[MarkedSpan, ...]


def judge_texts(nlp: Language, name: str, docs: Iterable[Doc]) -> Iterator[TextDoubts]:
    """Let a pipeline judge texts.

    nlp (Language): The pipeline.
    name (str): Its `bert_ner` component, calibrated.
    docs (Iterable[Doc]): The texts, tokenized and not yet processed.
    YIELDS (TextDoubts): Of each text.
    RAISES: ValueError where the component's model has no vectors, as in exported pipelines.
    """
    component: BertNER = nlp.get_pipe(name)  # type: ignore[assignment]
    if not component.model.has_ref("tok2vec"):
        raise ValueError(f"Component {name!r} gives no vectors: name the pipeline that it was exported from")
    later = nlp.pipe_names[nlp.pipe_names.index(name) :]
    for batch in batch_documents(nlp.pipe(docs, disable=later), nlp.batch_size, MAX_BATCH_WORDS):
        filled = [doc for doc in batch if len(doc)]
        judged = iter(_judge(component, filled) if filled else ())
        for doc in batch:
            yield next(judged) if len(doc) else _nothing(component)


def _nothing(component: BertNER) -> TextDoubts:
    none = np.zeros(len(component.labels))
    return TextDoubts(0, none, none, np.zeros(0, dtype=np.float32), ())


def _judge(component: BertNER, docs: Sequence[Doc]) -> Iterator[TextDoubts]:
    batch = component.decode(docs)
    vectors = _mean_vectors(component, docs)
    spans, posterior = judge_likely_spans(batch, component.cfg, _LEAST_POSTERIOR)
    judged = batch.judge(component.cfg["temperature"], component.cfg["offsets"])
    found = batch.split(docs, judged, np.zeros(len(component.labels)))
    owner = np.searchsorted(np.cumsum([len(doc) for doc in docs]), np.cumsum(batch.lengths) - batch.lengths, "right")
    shape = (len(docs), len(component.labels))
    entropy, expected = np.zeros(shape), np.zeros(shape)
    np.add.at(entropy, (owner[spans.sequence], spans.label), binary_entropy(posterior))
    np.add.at(expected, (owner[spans.sequence], spans.label), posterior)
    for i, doc in enumerate(docs):
        words = sum(not token.is_space for token in doc)
        yield TextDoubts(words, entropy[i], expected[i], vectors[i], _mark(doc, found[i]))


def _mark(doc: Doc, found: DocEntities) -> tuple[MarkedSpan, ...]:
    spans = [doc[start:end] for start, end, _ in found.entities]
    return tuple(
        MarkedSpan(span.start_char, span.end_char, entity.label, round(float(score), _DIGITS))
        for span, entity, score in zip(spans, found.entities, found.scores, strict=True)
    )


def binary_entropy(probability: Array) -> Floats:
    """RETURNS (Floats): The entropy of an event of each probability, in nats, from 0 to log 2."""
    p = np.clip(np.asarray(probability, dtype=np.float64), 1e-300, 1.0)
    q = np.clip(1.0 - p, 1e-300, 1.0)
    entropy: Floats = -(p * np.log(p) + q * np.log(q))
    return entropy


def _mean_vectors(component: BertNER, docs: Sequence[Doc]) -> Array:
    """RETURNS (Floats): The mean of each document's word vectors. (documents, width)"""
    encoded: Any = component.model.get_ref("tok2vec").predict(list(docs))
    if isinstance(encoded, PieceVectors):
        data = np.asarray(component.model.ops.to_numpy(encoded.data))
        rows = data[first_pieces(encoded.pieces)]
    else:
        rows = np.concatenate([np.asarray(component.model.ops.to_numpy(each)) for each in encoded])
    starts = np.cumsum([0, *(len(doc) for doc in docs[:-1])])
    sums: Floats = np.add.reduceat(rows.astype(np.float64), starts, axis=0)
    return (sums / np.array([[len(doc)] for doc in docs])).astype(np.float32)
