"""The model of an exported `bert_ner`: documents to logits, by two graphs that ONNX Runtime runs."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Ints1d, Ragged

from spacy_bert_ner.arrays import Array
from spacy_bert_ner.checks import check_choice
from spacy_bert_ner.encoder.choices import Pieces
from spacy_bert_ner.encoder.layout import PieceLayout, fill_batches, lay_out, window_lengths
from spacy_bert_ner.encoder.settings import EncoderSettings
from spacy_bert_ner.storage.models import CheckedModel
from spacy_bert_ner.tags import TagScheme

from .description import write_description
from .onnx_shim import OnnxShim
from .padding import group_by_length, pad_windows
from .scored_words import ScoredWords, gather_words

ONNX_CLASSIFIER = "spacy-bert-ner.OnnxClassifier.v1"
FOR_PREDICTION = (
    "An exported pipeline predicts, and learns nothing: {what} the pipeline that it was exported from, and export that "
    "again (python -m spacy bert-ner export)"
)


def build_onnx_classifier(
    window: int = 128, stride: int = 96, max_batch_pieces: int = 4096, pieces: Pieces = "first"
) -> Model[list[Doc], Ragged]:
    """Score every token for every tag by ONNX Runtime: the model of a `bert_ner` that `export` has written.

    window, stride, max_batch_pieces (int): See spacy-bert-ner.Encoder.v1.
    pieces (str): Which pieces of a word carry its label; see spacy-bert-ner.TokenClassifier.v1. The head was exported
        for one of them.
    RETURNS (Model[list[Doc], Ragged]): Documents to logits of shape (words, tags), one row a word.
    RAISES: ValueError for a setting out of range, or later, for training it.
    """
    check_choice(f'@architectures = "{ONNX_CLASSIFIER}"', "pieces", pieces, get_args(Pieces))
    settings = EncoderSettings(
        name="exported",
        window=window,
        stride=stride,
        max_batch_pieces=max_batch_pieces,
        architecture=ONNX_CLASSIFIER,
    )
    return CheckedModel(
        "onnx_classifier",
        partial(_forward, settings=settings, pieces=pieces),
        init=_refuse_initialization,
        shims=[OnnxShim(settings)],
        dims={"nO": None},
        attrs={
            "pieces": pieces,
            "resize_output": _refuse_outputs,
            "describe": partial(_describe, settings=settings, pieces=pieces),
        },
    )


def get_onnx_shim(model: Model) -> OnnxShim:
    """RETURNS (OnnxShim): The ONNX Runtime side of an exported model."""
    return cast(OnnxShim, model.shims[0])


def encode_windows(layout: PieceLayout, shim: OnnxShim, max_pieces: int) -> Array:
    """Encode a batch's windows, padded to about their own lengths.

    layout (PieceLayout): The batch.
    shim (OnnxShim): The graphs.
    max_pieces (int): Maximum number of pieces that are encoded at once, padding counted.
    RETURNS (Array): (pieces, width), in the order of the layout.
    """
    vectors = np.empty((len(layout.ids), shim.width), dtype=np.float32)
    for batch in fill_batches(layout, shim.pieces, group_by_length(window_lengths(layout, shim.pieces), max_pieces)):
        padded = pad_windows(batch)
        hidden = shim.encode(**padded._asdict())
        vectors[batch.pieces] = hidden[padded.mask][batch.rows]
    return vectors


def score_words(scored: ScoredWords, shim: OnnxShim, maximum: int) -> Array:
    """Compute logits.

    scored (ScoredWords): What the head reads.
    shim (OnnxShim): The graphs.
    maximum (int): Maximum number of words at once.
    RETURNS (Array): (words, tags), fp32.
    """
    parts = []
    for first in range(0, len(scored.vectors), maximum):
        rows = {name: values[first : first + maximum] for name, values in scored._asdict().items()}
        alone = len(rows["vectors"]) == 1
        # A single row would be multiplied by another kernel, which rounds otherwise.
        rows = {name: np.repeat(values, 2, axis=0) for name, values in rows.items()} if alone else rows
        parts.append(shim.score(**rows)[:1] if alone else shim.score(**rows))
    return np.concatenate(parts)


def _forward(
    model: Model[list[Doc], Ragged], docs: list[Doc], is_train: bool, *, settings: EncoderSettings, pieces: Pieces
) -> tuple[Ragged, Callable[[Ragged], list[Doc]]]:
    if is_train:
        raise ValueError(FOR_PREDICTION.format(what="train"))
    words = sum(len(doc) for doc in docs)
    one_each = cast(Ints1d, np.ones(words, dtype="i"))
    if not words:
        return Ragged(model.ops.alloc2f(0, model.get_dim("nO")), one_each), lambda d_logits: docs
    shim = get_onnx_shim(model)
    layout = lay_out(shim.pieces, settings, docs, is_train=False)
    scored = gather_words(encode_windows(layout, shim, settings.max_batch_pieces), layout, pieces)
    logits = score_words(scored, shim, settings.max_batch_pieces)
    return Ragged(model.ops.asarray2f(cast(Any, logits)), one_each), lambda d_logits: docs


def _refuse_initialization(model: Model, X: Any = None, Y: Any = None) -> None:
    if not get_onnx_shim(model).is_there:
        raise ValueError(FOR_PREDICTION.format(what="initialize"))


def _refuse_outputs(model: Model, nO: int) -> Model:
    if not model.has_dim("nO") or model.get_dim("nO") != nO:
        raise ValueError(FOR_PREDICTION.format(what="add labels to"))
    return model


def _describe(
    model: Model,
    folder: Path,
    scheme: TagScheme,
    state: Mapping[str, Any],
    *,
    settings: EncoderSettings,
    pieces: Pieces,
) -> None:
    write_description(folder, get_onnx_shim(model), settings, pieces, scheme, state)
