"""Our encoder as a model for spacy-transformers' `transformer` factory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from spacy.tokens import Doc
from spacy_transformers.data_classes import FullTransformerBatch, TransformerData, WordpieceBatch
from spacy_transformers.layers import split_trf_batch
from thinc.api import Model, chain, get_array_module, torch2xp, xp2torch
from thinc.types import Ints1d, Ragged
from torch import Tensor
from transformers.file_utils import ModelOutput

from spacy_bert_ner.encoder.encoding import encode_documents
from spacy_bert_ner.encoder.layout import PieceLayout, lay_out
from spacy_bert_ner.encoder.model import get_shim, init_encoder
from spacy_bert_ner.encoder.settings import EncoderSettings
from spacy_bert_ner.encoder.shim import EncoderShim
from spacy_bert_ner.storage.models import CheckedModel

from .faults import encode_one_by_one


def make_transformer_model(settings: EncoderSettings) -> Model[list[Doc], FullTransformerBatch]:
    """Build the model of build_transformer_model.

    settings (EncoderSettings): The encoder's settings.
    RETURNS (Model[list[Doc], FullTransformerBatch]): The model.
    """
    return CheckedModel(
        "transformer",
        # Bound, not in attrs: thinc would let the saved values override the config's at every load.
        partial(transformer_forward, settings=settings),
        init=partial(init_encoder, settings=settings),
        shims=[EncoderShim(settings)],
        dims={"nO": None},
        attrs={"replace_listener": replace_listener, "replace_listener_cfg": replace_listener_cfg},
    )


def replace_listener(model: Model[list[Doc], FullTransformerBatch]) -> Model[list[Doc], list[TransformerData]]:
    """Wrap the encoder as the replacement of a listener: it gives each document's data."""
    return chain(model, split_trf_batch())


def replace_listener_cfg(encoder: dict[str, Any], listener: dict[str, Any]) -> dict[str, Any]:
    """Write the config of a component whose listener was replaced.

    encoder (dict[str, Any]): Config of the encoder.
    listener (dict[str, Any]): Config of the listener.
    RETURNS (dict[str, Any]): Config of build_tok2vec_transformer.
    """
    kept: dict[str, Any] = {key: listener[key] for key in ("pooling", "grad_factor") if key in listener}
    return {"@architectures": "spacy-bert-ner.Tok2VecTransformer.v1", "transformer": dict(encoder), **kept}


@dataclass
class PackedBatch(FullTransformerBatch):
    """A batch's vectors without padding or overlap: the pieces of all documents, concatenated.

    Every piece has one vector, so that a document's `align` counts its pieces up. `model_output.last_hidden_state` is
    (pieces, width), and (1, pieces, width) by document.
    """

    def unsplit_by_doc(self, arrays: list[list[Any]]) -> "PackedBatch":
        """Concatenate the gradients of the documents that have tokens. RETURNS: The batch's gradient."""
        output = ModelOutput()
        if arrays:
            xp = get_array_module(arrays[0][0])
            joined = xp.concatenate([parts[0].reshape(-1, parts[0].shape[-1]) for parts in arrays])
            output["last_hidden_state"] = xp2torch(joined)
        return PackedBatch(self.spans, self.wordpieces, output, self.align)


def transformer_forward(
    model: Model[list[Doc], FullTransformerBatch], docs: list[Doc], is_train: bool, *, settings: EncoderSettings
) -> tuple[FullTransformerBatch, Callable[[FullTransformerBatch], list[Doc]]]:
    """Encode a batch of documents. RETURNS: The vectors, and a callback that takes their gradient."""
    shim = get_shim(model)
    if not any(len(doc) for doc in docs):
        return PackedBatch.empty(len(docs)), lambda d_batch: docs
    if not is_train:
        return predict(shim, settings, docs), lambda d_batch: docs
    layout = lay_out(shim.pieces, settings, docs, is_train)
    vectors, pull = shim.begin_update(partial(encode_documents, layout, shim.pieces, settings.max_batch_pieces))

    def backprop(d_batch: FullTransformerBatch) -> list[Doc]:
        pull(cast(Any, d_batch.model_output).last_hidden_state.to(vectors.device))
        return docs

    return wrap_batch(layout, shim, vectors.detach(), docs), backprop


def predict(shim: EncoderShim, settings: EncoderSettings, docs: list[Doc]) -> FullTransformerBatch:
    """Encode a batch of documents for inference.

    shim (EncoderShim): Holds the torch module.
    settings (EncoderSettings): The encoder's settings.
    docs (list[Doc]): The documents.
    RETURNS (FullTransformerBatch): The vectors, in documents that have tokens and on which the encoder does not fail:
        see faults.Unencoded.
    """
    pieces = shim.pieces

    def run(docs: list[Doc]) -> FullTransformerBatch:
        layout = lay_out(pieces, settings, docs, is_train=False)
        vectors = shim.predict(partial(encode_documents, layout, pieces, settings.max_batch_pieces))
        return wrap_batch(layout, shim, vectors.float(), docs)

    try:
        return run(docs)
    except Exception as error:
        return encode_one_by_one(run, docs, error)


def wrap_batch(layout: PieceLayout, shim: EncoderShim, vectors: Tensor, docs: Sequence[Doc]) -> PackedBatch:
    """Wrap vectors up as spacy-transformers' listeners expect them. RETURNS: The batch, split by document."""
    arrays = cast(Any, torch2xp(vectors))
    vocabulary = shim.pieces.backend.id_to_token
    split = []
    for counts, offsets in zip(layout.counts, layout.offsets, strict=True):
        start, end = int(offsets[0]), int(offsets[-1])
        if start == end:
            split.append(TransformerData.empty())
            continue
        ids = layout.ids[None, start:end]
        wordpieces = WordpieceBatch(
            strings=[[vocabulary(i) or "" for i in ids[0].tolist()]],
            input_ids=cast(Any, ids),
            attention_mask=cast(Any, np.ones(ids.shape, dtype="f")),
            lengths=[end - start],
            token_type_ids=None,
        )
        align = Ragged(cast(Ints1d, np.arange(end - start, dtype="i")), cast(Ints1d, counts.astype("i")))
        output = ModelOutput(last_hidden_state=arrays[None, start:end])
        split.append(TransformerData(wordpieces=wordpieces, model_output=output, align=align))
    every = np.concatenate(layout.counts)
    return PackedBatch(
        spans=[[doc[:]] if len(doc) else [] for doc in docs],
        wordpieces=WordpieceBatch.empty(),
        model_output=ModelOutput(last_hidden_state=vectors),
        align=Ragged(cast(Ints1d, np.arange(len(layout.ids), dtype="i")), cast(Ints1d, every.astype("i"))),
        cached_doc_data=split,
    )
