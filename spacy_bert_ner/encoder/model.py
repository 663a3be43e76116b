"""The encoder as a model: documents to vectors of their word pieces."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
from spacy.tokens import Doc
from thinc.api import Model, torch2xp, xp2torch
from thinc.types import Floats2d

from spacy_bert_ner.storage.models import CheckedModel

from .choices import Precision
from .encoding import encode_documents
from .layout import PieceLayout, lay_out
from .pretrained import load_pretrained, try_out
from .settings import EncoderSettings
from .shim import EncoderShim
from .vectors import PieceVectors


def build_encoder_model(
    name: str,
    window: int = 128,
    stride: int = 96,
    max_batch_pieces: int = 4096,
    precision: Precision = "auto",
    case_features: bool | None = None,
    document_memory: bool = False,
    hidden_dropout: float | None = None,
    attention_dropout: float | None = None,
    word_dropout: float = 0.0,
    trainable: bool = True,
    freeze_layers: int = 0,
    tokenizer_config: dict[str, Any] | None = None,
    transformer_config: dict[str, Any] | None = None,
) -> Model[list[Doc], PieceVectors]:
    """Encode documents of any length by a pretrained transformer: the tok2vec of `bert_ner`.

    name (str): Folder or Hub id of a pretrained encoder with a fast tokenizer.
    window (int): Maximum number of pieces encoded together, special pieces counted.
    stride (int): Maximum number of pieces from one window to the next, special pieces counted; neighbours overlap by
        window - stride.
    max_batch_pieces (int): Maximum number of pieces encoded at once, padding counted: the bound of working memory.
    precision (str): "auto" (bf16 where the device multiplies it natively, else fp32), "fp32", "bf16", "fp16", or "int8"
        for a pipeline that was quantized.
    case_features (bool | None): Whether to add word-shape features; by default where the tokenizer loses capitals.
    document_memory (bool): Whether to add to every occurrence of a word a learned function of the mean vector of its
        other occurrences in the document.
    hidden_dropout (float | None): Share of the activations that training drops; null leaves it to the encoder's config.
    attention_dropout (float | None): Share of the attention probabilities that it drops.
    word_dropout (float): Share of the words that training masks, so that the encoder learns to look at their
        neighbours and capitals.
    trainable (bool): Whether training moves the encoder at all; false costs training no more than prediction.
    freeze_layers (int): How many of the first layers training leaves as they are, and with them the embeddings. Case
        features and document memory, which no checkpoint holds, are trained even so.
    tokenizer_config (dict | None): Further arguments of `AutoTokenizer.from_pretrained`.
    transformer_config (dict | None): Settings that override the encoder's own config.
    RETURNS (Model[list[Doc], PieceVectors]): The model.
    RAISES: ValueError for a setting out of range, where two contradict each other, or later, at initialization, where
        the encoder is not there, is damaged or cannot serve.
    """
    settings = EncoderSettings(
        name=name,
        window=window,
        stride=stride,
        max_batch_pieces=max_batch_pieces,
        precision=precision,
        case_features=case_features,
        document_memory=document_memory,
        hidden_dropout=hidden_dropout,
        attention_dropout=attention_dropout,
        word_dropout=word_dropout,
        trainable=trainable,
        freeze_layers=freeze_layers,
        tokenizer_config=tokenizer_config or {},
        transformer_config=transformer_config or {},
    )
    # Settings are bound, not in attrs: thinc would let the saved values win over the config's at every load.
    return CheckedModel(
        "encoder",
        partial(encode_forward, settings=settings),
        init=partial(init_encoder, settings=settings),
        shims=[EncoderShim(settings)],
        dims={"nO": None},
        attrs={"gives_pieces": True},
    )


def init_encoder(model: Model, X: Any = None, Y: Any = None, *, settings: EncoderSettings) -> None:
    """Load the pretrained encoder, unless a trained one is there already.

    RAISES: ValueError where the encoder is not there, is damaged or cannot serve.
    """
    shim = get_shim(model)
    if shim.is_there:
        return
    encoder, pieces = load_pretrained(settings)
    model.set_dim("nO", try_out(encoder, pieces, settings.name))
    shim.set_encoder(encoder, pieces)


def get_shim(model: Model) -> EncoderShim:
    """RETURNS (EncoderShim): The torch side of an encoder."""
    return cast(EncoderShim, model.shims[0])


def get_settings(model: Model) -> EncoderSettings:
    """RETURNS (EncoderSettings): The settings of an encoder."""
    return cast(EncoderSettings, cast(Any, model._func).keywords["settings"])


def encode_forward(
    model: Model[list[Doc], PieceVectors], docs: list[Doc], is_train: bool, *, settings: EncoderSettings
) -> tuple[PieceVectors, Callable[[PieceVectors], list[Doc]]]:
    """Encode a batch of documents. RETURNS: The vectors, and a callback that takes their gradient."""
    tokens = np.array([len(doc) for doc in docs], dtype=np.int64)
    if not tokens.sum():
        return PieceVectors(model.ops.alloc2f(0, model.get_dim("nO")), tokens[:0], tokens), lambda d_vectors: docs
    shim = get_shim(model)
    learns = is_train and shim.trainable
    layout = lay_out(shim.pieces, settings, docs, learns)
    run = partial(encode_documents, layout, shim.pieces, settings.max_batch_pieces)
    if not learns:
        return _wrap(layout, shim.predict(run).float(), tokens), lambda d_vectors: docs
    vectors, pull = shim.begin_update(run)

    def backprop(d_vectors: PieceVectors) -> list[Doc]:
        pull(xp2torch(d_vectors.data, device=vectors.device))
        return docs

    return _wrap(layout, vectors.detach(), tokens), backprop


def _wrap(layout: PieceLayout, vectors: Any, tokens: np.ndarray) -> PieceVectors:
    return PieceVectors(cast(Floats2d, torch2xp(vectors)), np.concatenate(layout.counts), tokens)
