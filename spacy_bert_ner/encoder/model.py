"""The encoder as a model for spaCy's `transformer` factory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, cast

import numpy as np
from spacy.tokens import Doc
from spacy_transformers.data_classes import FullTransformerBatch, TransformerData, WordpieceBatch
from thinc.api import Model, get_array_module, torch2xp, xp2torch
from thinc.types import Floats2d, Ints1d, Ragged
from torch import Tensor
from transformers.file_utils import ModelOutput

from ..checks import check_number
from ..saving import CheckedModel
from .faults import encode_one_by_one
from .layout import Layout, encode, lay_out
from .pretrained import load_pretrained, try_out
from .settings import Settings
from .shim import EncoderShim


def build_transformer_model(
    name: str,
    window: int = 128,
    stride: int = 96,
    max_batch_pieces: int = 4096,
    precision: str = "auto",
    case_features: bool | None = None,
    document_memory: bool = False,
    hidden_dropout: float | None = None,
    attention_dropout: float | None = None,
    word_dropout: float = 0.0,
    tokenizer_config: dict[str, Any] | None = None,
    transformer_config: dict[str, Any] | None = None,
) -> Model[list[Doc], FullTransformerBatch]:
    """Encode documents of any length by a pretrained transformer: a model for the `transformer` factory.

    name (str): Folder or Hub id of a pretrained encoder with a fast tokenizer.
    window (int): The most pieces encoded together, special pieces counted.
    stride (int): Pieces from one window to the next at most, special pieces counted; neighbours overlap by
        window - stride.
    max_batch_pieces (int): The most pieces encoded at once, padding counted: the bound of working memory.
    precision (str): "auto" (bf16 where the device multiplies it natively, else fp32), "fp32", "bf16" or "fp16".
    case_features (bool | None): Whether to add word-shape features; by default where the tokenizer loses capitals.
    document_memory (bool): Whether every occurrence of a word is told what its other occurrences in the document
        mean to the encoder.
    hidden_dropout (float | None): Share of the activations that training drops; null leaves it to the encoder's config.
    attention_dropout (float | None): Share of the attention probabilities that it drops.
    word_dropout (float): Share of the words that training hides from the encoder, so that it learns to look at their
        neighbours and capitals.
    tokenizer_config (dict | None): Further arguments of `AutoTokenizer.from_pretrained`.
    transformer_config (dict | None): Settings that override the encoder's own config.
    RETURNS (Model[list[Doc], FullTransformerBatch]): The model.
    RAISES: ValueError for a setting out of range, where two contradict each other, or later, at initialization, where
        the encoder is not there, is damaged or cannot serve.
    """
    settings = Settings(
        name,
        window,
        stride,
        max_batch_pieces,
        case_features,
        document_memory,
        tokenizer_config or {},
        transformer_config or {},
        hidden_dropout,
        attention_dropout,
        word_dropout,
    )
    return CheckedModel(
        "transformer",
        # Bound, not in attrs: thinc would let the saved values win over the config's at every load.
        partial(forward, settings=settings),
        init=partial(init, settings=settings),
        shims=[EncoderShim(None, None, precision, window)],
        dims={"nO": None},
        attrs={"replace_listener": replace_listener, "replace_listener_cfg": replace_listener_cfg},
    )


def build_tok2vec_transformer(
    transformer: Model[list[Doc], FullTransformerBatch],
    pooling: Model[Ragged, Floats2d] | None = None,
    grad_factor: float = 1.0,
) -> Model[list[Doc], list[TransformerData] | list[Floats2d]]:
    """Use an encoder inside one component, as its own tok2vec: what `nlp.replace_listeners` puts in.

    transformer (Model[list[Doc], FullTransformerBatch]): The encoder.
    pooling (Model[Ragged, Floats2d] | None): Pieces to one vector per token, for spaCy's components; None leaves the
        pieces as they are, for TokenClassifier.
    grad_factor (float): Multiplies the gradient sent to the encoder.
    RETURNS (Model): Documents to pieces, or to arrays of shape (tokens, width).
    RAISES: ValueError where grad_factor is negative.
    """
    from spacy_transformers.layers import trfs2arrays
    from thinc.api import chain

    from ..classifier import mark_as_pieces, scale_gradient

    section = "components.bert_ner.model.tok2vec"
    check_number(section, "grad_factor", grad_factor, lambda x: 0 <= x < inf, "a number of at least 0")
    encoder = replace_listener(transformer)
    if pooling is None:
        return cast(Any, mark_as_pieces(chain(encoder, scale_gradient(grad_factor))))
    return cast(Any, chain(encoder, trfs2arrays(pooling, grad_factor)))


def replace_listener(model: Model[list[Doc], FullTransformerBatch]) -> Model[list[Doc], list[TransformerData]]:
    """Make of the encoder what stands in a listener's place: it gives each document's data."""
    from spacy_transformers.layers import split_trf_batch
    from thinc.api import chain

    return chain(model, split_trf_batch())


def replace_listener_cfg(encoder: dict[str, Any], listener: dict[str, Any]) -> dict[str, Any]:
    """Write the config of a component whose listener was replaced.

    encoder (dict[str, Any]): Config of the encoder.
    listener (dict[str, Any]): Config of the listener.
    RETURNS (dict[str, Any]): Config of build_tok2vec_transformer.
    """
    kept: dict[str, Any] = {key: listener[key] for key in ("pooling", "grad_factor") if key in listener}
    return {"@architectures": "spacy-bert-ner.Tok2VecTransformer.v1", "transformer": dict(encoder), **kept}


def init(
    model: Model[list[Doc], FullTransformerBatch],
    X: Any = None,
    Y: Any = None,
    *,
    settings: Settings,
) -> None:
    """Load the pretrained encoder, unless a trained one is there already.

    RAISES: ValueError where the encoder is not there, is damaged or cannot serve.
    """
    shim = get_shim(model)
    if shim._model is not None:
        return
    encoder, pieces = load_pretrained(settings)
    model.set_dim("nO", try_out(encoder, pieces, settings.name))
    shim.set_encoder(encoder, pieces)


def get_shim(model: Model[list[Doc], FullTransformerBatch]) -> EncoderShim:
    """RETURNS (EncoderShim): The torch side of an encoder."""
    return cast(EncoderShim, model.shims[0])


@dataclass
class PackedBatch(FullTransformerBatch):
    """A batch's vectors without padding or overlap: all pieces of all documents, one after another.

    Every piece has one vector, so that a document's `align` counts its pieces up. `model_output.last_hidden_state` is
    (pieces, width), and (1, pieces, width) by document.
    """

    def unsplit_by_doc(self, arrays: list[list[Any]]) -> "PackedBatch":
        """Join gradients that came back by document, documents without tokens left out. RETURNS: The batch's."""
        output = ModelOutput()
        if arrays:
            xp = get_array_module(arrays[0][0])
            joined = xp.concatenate([parts[0].reshape(-1, parts[0].shape[-1]) for parts in arrays])
            output["last_hidden_state"] = xp2torch(joined)
        return PackedBatch(self.spans, self.wordpieces, output, self.align)


def forward(
    model: Model[list[Doc], FullTransformerBatch], docs: list[Doc], is_train: bool, *, settings: Settings
) -> tuple[FullTransformerBatch, Callable[[FullTransformerBatch], list[Doc]]]:
    """Encode a batch of documents. RETURNS: The vectors, and a callback that takes their gradient."""
    shim = get_shim(model)
    if not any(len(doc) for doc in docs):
        return PackedBatch.empty(len(docs)), lambda d_batch: docs
    if not is_train:
        return predict(shim, settings, docs), lambda d_batch: docs
    layout = lay_out(shim.pieces, settings, docs, is_train)
    vectors, pull = shim.begin_update(partial(encode, layout, shim.pieces, settings.max_batch_pieces))

    def backprop(d_batch: FullTransformerBatch) -> list[Doc]:
        pull(cast(Any, d_batch.model_output).last_hidden_state.to(vectors.device))
        return docs

    return pack(layout, shim, vectors.detach(), docs), backprop


def predict(shim: EncoderShim, settings: Settings, docs: list[Doc]) -> FullTransformerBatch:
    """Encode a batch of documents for good.

    shim (EncoderShim): The torch side.
    settings (Settings): The encoder's settings.
    docs (list[Doc]): The documents.
    RETURNS (FullTransformerBatch): The vectors, in documents that have tokens and on which the encoder does not fail:
        see faults.Unencoded.
    """
    pieces = shim.pieces

    def run(docs: list[Doc]) -> FullTransformerBatch:
        layout = lay_out(pieces, settings, docs, is_train=False)
        vectors = shim.predict(partial(encode, layout, pieces, settings.max_batch_pieces))
        return pack(layout, shim, vectors.float(), docs)

    try:
        return run(docs)
    except Exception as error:
        return encode_one_by_one(run, docs, error)


def pack(layout: Layout, shim: EncoderShim, vectors: Tensor, docs: Sequence[Doc]) -> PackedBatch:
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
