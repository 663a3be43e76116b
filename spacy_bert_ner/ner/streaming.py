"""Streams of documents in which one that fails takes no other with it."""

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.util import raise_error

ONE_BY_ONE = (
    "Component {name!r} failed on a batch of {count} documents, but on none of them alone: {error}. If memory is "
    "short, lower nlp.batch_size or the encoder's max_batch_pieces."
)

# Words that are predicted together; a longer document is a batch alone. It bounds the memory that a batch takes.
MAX_BATCH_WORDS = 16384


def annotate_stream(component: TrainablePipe, stream: Iterable[Doc], batch_size: int) -> Iterator[Doc]:
    """Apply a component to a stream: its `pipe`.

    Where a batch fails and the user has set an error handler, its documents are tried one by one. The handler gets
    those that fail, each by itself, and the others go on; spaCy's own `pipe` would give it the whole batch. Without a
    handler the error is raised, as in spaCy.

    component (TrainablePipe): The component.
    stream (Iterable[Doc]): The documents.
    batch_size (int): Maximum number of documents that are predicted together.
    YIELDS (Doc): The documents that did not fail, in order.
    """
    handler: Any = component.get_error_handler()
    for docs in batch_documents(stream, batch_size, MAX_BATCH_WORDS):
        try:
            _annotate(component, docs)
        except Exception as error:
            if handler is raise_error:
                raise
            annotated = [doc for doc in docs if _is_annotated(component, doc, handler)]
            if len(annotated) == len(docs):
                message = ONE_BY_ONE.format(name=component.name, count=len(docs), error=error)
                warnings.warn(message, stacklevel=2)
            docs = annotated
        yield from docs


def batch_documents(stream: Iterable[Doc], batch_size: int, max_words: int) -> Iterator[list[Doc]]:
    """Group documents.

    stream (Iterable[Doc]): The documents.
    batch_size (int): Maximum number of documents of a batch.
    max_words (int): Maximum number of tokens of a batch; a longer document is a batch alone.
    YIELDS (list[Doc]): The batches, in order.
    """
    batch: list[Doc] = []
    words = 0
    for doc in stream:
        if batch and (len(batch) >= batch_size or words + len(doc) > max_words):
            yield batch
            batch, words = [], 0
        batch.append(doc)
        words += len(doc)
    if batch:
        yield batch


def _annotate(component: TrainablePipe, docs: list[Doc]) -> None:
    component.set_annotations(docs, component.predict(docs))


def _is_annotated(component: TrainablePipe, doc: Doc, handler: Any) -> bool:
    """Annotate a document, or give it to the handler. RETURNS: Whether it is annotated."""
    try:
        _annotate(component, [doc])
    except Exception as error:
        handler(component.name, component, [doc], error)
        return False
    return True
