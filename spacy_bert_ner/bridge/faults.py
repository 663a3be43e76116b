"""Documents on which the encoder fails: the other documents of their batch must still be processed.

spacy-transformers' component calls no error handler, so the first error would end the stream. The components that read
the encoder's output do call theirs: the error is stored in place of the failed document's data, and raised for them.
"""

import warnings
from collections.abc import Callable
from typing import Any, NoReturn, cast

import numpy as np
import torch
from spacy.tokens import Doc
from spacy_transformers.data_classes import FullTransformerBatch, TransformerData, WordpieceBatch
from thinc.types import Ints1d, Ragged
from transformers.file_utils import ModelOutput

from spacy_bert_ner.ner.streaming import ONE_BY_ONE


class Unencoded(TransformerData):
    """Stands for a document on which the encoder failed: reading it raises the encoder's error.

    error (Exception): The error.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __repr__(self) -> str:
        return f"Unencoded({self.error!r})"

    def _refuse(self) -> NoReturn:
        raise self.error

    wordpieces = model_output = align = property(_refuse)


def encode_one_by_one(
    encode: Callable[[list[Doc]], FullTransformerBatch], docs: list[Doc], error: Exception
) -> FullTransformerBatch:
    """Encode the documents of a batch that failed, one by one.

    encode (Callable[[list[Doc]], FullTransformerBatch]): Encodes documents, at least one of them with a token.
    docs (list[Doc]): The documents.
    error (Exception): The batch's error.
    RETURNS (FullTransformerBatch): The batch, with Unencoded as the data of those that fail.
    """
    batches = [_encode_alone(encode, doc) for doc in docs]
    data = [data for batch in batches for data in batch.doc_data]
    if not any(isinstance(each, Unencoded) for each in data):
        warnings.warn(ONE_BY_ONE.format(name="transformer", count=len(docs), error=error), stacklevel=2)
    vectors = [cast(Any, batch.model_output)["last_hidden_state"] for batch in batches if batch.model_output]
    lengths = np.concatenate([np.asarray(batch.align.lengths) for batch in batches])
    return FullTransformerBatch(
        spans=[spans for batch in batches for spans in batch.spans],
        wordpieces=WordpieceBatch.empty(),
        model_output=ModelOutput(last_hidden_state=torch.cat(vectors)) if vectors else ModelOutput(),
        align=Ragged(cast(Ints1d, np.arange(lengths.sum(), dtype="i")), cast(Ints1d, lengths)),
        cached_doc_data=data,
    )


def _encode_alone(encode: Callable[[list[Doc]], FullTransformerBatch], doc: Doc) -> FullTransformerBatch:
    alone = FullTransformerBatch.empty(1)
    if not len(doc):
        return alone
    try:
        return encode([doc])
    except Exception as error:
        alone.cached_doc_data = [Unencoded(error)]
        return alone
