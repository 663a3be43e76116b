"""From spacy-transformers' data classes to vectors of word pieces, which the head reads, and back."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
from spacy.tokens import Doc
from spacy_transformers.data_classes import FullTransformerBatch, TransformerData
from spacy_transformers.layers import TransformerListener, trfs2arrays
from thinc.api import Model, chain, to_numpy
from thinc.types import Floats2d, Ragged
from transformers.file_utils import ModelOutput

from spacy_bert_ner.arrays import Ints
from spacy_bert_ner.checks import check_number
from spacy_bert_ner.encoder.vectors import PieceVectors

from .transformer_model import replace_listener

# Messages name a section by its architecture, as it may be in any component.
LISTENER_SECTION = '@architectures = "spacy-bert-ner.TransformerListener.v1"'
TOK2VEC_SECTION = '@architectures = "spacy-bert-ner.Tok2VecTransformer.v1"'


def make_listener(upstream: str, grad_factor: float) -> Model[list[Doc], PieceVectors]:
    """Build the model of build_transformer_listener."""
    if not upstream:
        raise ValueError(
            f'[{LISTENER_SECTION}] upstream = "": expected the name of a transformer component, or "*" for any'
        )
    _check_factor(LISTENER_SECTION, grad_factor)
    listener = TransformerListener(upstream_name=upstream)
    return _mark(chain(cast(Any, listener), to_pieces(grad_factor)))


def make_tok2vec(
    transformer: Model[list[Doc], FullTransformerBatch],
    pooling: Model[Ragged, Floats2d] | None,
    grad_factor: float,
) -> Model[list[Doc], Any]:
    """Build the model of build_tok2vec_transformer."""
    _check_factor(TOK2VEC_SECTION, grad_factor)
    encoder = replace_listener(transformer)
    if pooling is None:
        return _mark(chain(encoder, to_pieces(grad_factor)))
    return cast(Any, chain(encoder, trfs2arrays(pooling, grad_factor)))


def _check_factor(section: str, grad_factor: float) -> None:
    check_number(section, "grad_factor", grad_factor, lambda x: 0 <= x < math.inf, "a number of at least 0")


def _mark(tok2vec: Model) -> Model:
    tok2vec.attrs["gives_pieces"] = True
    return tok2vec


def to_pieces(grad_factor: float) -> Model[list[TransformerData], PieceVectors]:
    """Concatenate the documents' data, of any encoder, and scale the gradient that is sent back.

    grad_factor (float): Multiplies the gradient.
    RETURNS (Model): Documents' data to the batch's pieces; a token without pieces gets one with a vector of zeros.
    """
    return Model("to_pieces", partial(_to_pieces_forward, factor=grad_factor))


def _to_pieces_forward(
    model: Model, X: list[TransformerData], is_train: bool, *, factor: float
) -> tuple[PieceVectors, Callable[[PieceVectors], list[TransformerData]]]:
    ops = model.ops
    # Documents without tokens have no vectors; spacy-transformers expects no gradient for them, not an empty one.
    present = [x for x in X if "last_hidden_state" in x.model_output]
    indices, counts = _piece_indices(present)
    hidden = [ops.reshape2f(x.model_output.last_hidden_state, -1, x.width) for x in present]
    sizes = [len(each) for each in hidden]
    data = ops.xp.concatenate(hidden) if hidden else ops.alloc2f(0, 0)
    at = ops.xp.asarray(np.maximum(indices, 0))
    absent = ops.xp.asarray(indices < 0)
    rows = data[at]
    rows[absent] = 0.0
    tokens = [len(x.align.lengths) if "last_hidden_state" in x.model_output else 0 for x in X]

    def backprop(d_rows: PieceVectors) -> list[TransformerData]:
        d_data = ops.alloc2f(*data.shape)
        ops.scatter_add(d_data, at[~absent], d_rows.data[~absent])
        d_data *= factor
        ends = np.cumsum(sizes)
        found = []
        for x, size, end in zip(present, sizes, ends.tolist(), strict=True):
            d_hidden = d_data[end - size : end].reshape(x.model_output.last_hidden_state.shape)
            output = ModelOutput(last_hidden_state=d_hidden)
            found.append(TransformerData(wordpieces=x.wordpieces, model_output=output, align=x.align))
        return found

    return PieceVectors(rows, counts, np.array(tokens, dtype=np.int64)), backprop


def _piece_indices(docs: list[TransformerData]) -> tuple[Ints, Ints]:
    """Find the rows of the words' pieces. RETURNS: Row indices, -1 for no piece, and the number of pieces per token."""
    indices, counts = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    first = 0
    for x in docs:
        lengths = to_numpy(x.align.lengths).astype(np.int64)
        data = to_numpy(x.align.dataXd).reshape(-1).astype(np.int64) + first
        starts = np.cumsum(lengths) - lengths
        # Whitespace has no pieces in spacy-transformers' alignment: it gets the index -1.
        indices.append(np.insert(data, starts[lengths == 0], -1))
        counts.append(np.maximum(lengths, 1))
        first += x.model_output.last_hidden_state.reshape(-1, x.width).shape[0]
    return np.concatenate(indices), np.concatenate(counts)
