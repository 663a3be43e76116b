"""Tag scores for tokens: the head of `bert_ner`, over any tok2vec.

    tok2vec ─► to_rows(pieces) ─► dropout ─► linear ─► Ragged: rows of scores, so many rows a token

A tok2vec gives either one vector per token (any spaCy tok2vec) or the word pieces of a transformer
(`spacy-bert-ner.TransformerListener.v1`), of which `pieces` says which ones carry a token's label.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, cast, get_args

import numpy as np
from spacy.tokens import Doc
from spacy_transformers.data_classes import TransformerData
from spacy_transformers.layers import TransformerListener
from thinc.api import Dropout, Linear, Model, Ops, chain, resizable, with_array
from thinc.layers.resizable import resize_linear_weighted, resize_model
from thinc.types import Floats2d, Ints1d, Ragged
from transformers.file_utils import ModelOutput

from .checks import check_number
from .saving import CheckedModel

Pieces = Literal["first", "mean", "all"]
TokenVectors = list[TransformerData] | list[Floats2d]


def build_transformer_listener(
    upstream: str = "*", grad_factor: float = 1.0
) -> Model[list[Doc], list[TransformerData]]:
    """Connect a TokenClassifier to a `transformer` component earlier in the pipeline.

    Unlike spacy-transformers' listener it does not pool: the classifier reads the word pieces themselves.

    upstream (str): Name of the transformer component, or "*" for whichever there is.
    grad_factor (float): Multiplies the gradient sent upstream. To leave the transformer as it is, freeze it instead
        (`frozen_components`): weight decay moves it whatever the gradient.
    RETURNS (Model[list[Doc], list[TransformerData]]): The listener.
    RAISES: ValueError for a setting out of range.
    """
    section = "components.bert_ner.model.tok2vec"
    if not upstream:
        raise ValueError(f'[{section}] upstream = "": expected the name of a transformer component, or "*" for any')
    check_number(section, "grad_factor", grad_factor, lambda x: 0 <= x < math.inf, "a number of at least 0")
    listener = TransformerListener(upstream_name=upstream)
    return cast(Model[list[Doc], list[TransformerData]], mark_as_pieces(chain(listener, scale_gradient(grad_factor))))


def mark_as_pieces(tok2vec: Model) -> Model:
    """Note on a tok2vec that it gives word pieces (TransformerData) and not one vector per token."""
    tok2vec.attrs["gives_pieces"] = True
    return tok2vec


def scale_gradient(factor: float) -> Model[list[TransformerData], list[TransformerData]]:
    """Pass transformer outputs through and multiply the gradient that comes back.

    factor (float): What the gradient is multiplied by.
    RETURNS (Model): The layer.
    """
    return Model("scale_gradient", partial(_scale_gradient_forward, factor=factor))


def _scale_gradient_forward(
    model: Model, X: list[TransformerData], is_train: bool, *, factor: float
) -> tuple[list[TransformerData], Callable[[list[TransformerData]], list[TransformerData]]]:
    def backprop(d_outputs: list[TransformerData]) -> list[TransformerData]:
        if factor != 1.0:
            for data in d_outputs:
                data.model_output["last_hidden_state"] *= factor
        return d_outputs

    return X, backprop


def build_token_classifier(
    tok2vec: Model[list[Doc], TokenVectors], pieces: Pieces = "first", nO: int | None = None
) -> Model[list[Doc], Ragged]:
    """Score every token for every tag with one linear layer over a tok2vec.

    tok2vec (Model): Any spaCy tok2vec, or `spacy-bert-ner.TransformerListener.v1` for a transformer's word pieces.
    pieces (str): Which pieces of a word carry its label: "first"; "mean", the average of all of them; or "all",
        where every piece is scored and trained and the first decides (`label_all_tokens` of Hugging Face's
        examples). A tok2vec that gives one vector per token has one "piece" a token, so that "all" is refused there.
    nO (int | None): Number of tags; the component sets it.
    RETURNS (Model[list[Doc], Ragged]): Documents to scores of shape (rows, tags), and `lengths`, rows per token
        of the whole batch, at least 1 each.
    RAISES: ValueError for a setting out of range, or for "all" where the tok2vec has no word pieces.
    """
    if pieces not in get_args(Pieces):
        raise ValueError(
            f"[components.bert_ner.model] pieces = {pieces!r}: expected one of {', '.join(get_args(Pieces))}"
        )
    if pieces == "all" and not tok2vec.attrs.get("gives_pieces"):
        raise ValueError(
            f"pieces = 'all' needs the word pieces of a transformer, but the tok2vec {tok2vec.name!r} gives one vector "
            "per token. Use @architectures = 'spacy-bert-ner.TransformerListener.v1' as the tok2vec, or "
            "pieces = 'first'."
        )
    if nO is not None:
        check_number("components.bert_ner.model", "nO", nO, lambda x: x >= 1, "null, or a whole number of tags")
    output: Model[Floats2d, Floats2d] = resizable(Linear(nO=nO), resize_layer=resize_linear_weighted)
    dropout: Model[Floats2d, Floats2d] = Dropout()
    scorer: Model[Ragged, Ragged] = with_array(chain(dropout, output))
    model: Model[list[Doc], Ragged] = CheckedModel.of(chain(tok2vec, to_rows(pieces), scorer))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("scorer", scorer)
    model.set_ref("output_layer", output)
    model.attrs["resize_output"] = resize_output
    return model


def resize_output(model: Model[list[Doc], Ragged], nO: int) -> Model[list[Doc], Ragged]:
    """Append outputs to a classifier; what it has learnt for the others stays, the new ones start at zero.

    model (Model[list[Doc], Ragged]): The classifier.
    nO (int): The new number of tags, not less than the old one.
    RETURNS (Model[list[Doc], Ragged]): The same model.
    """
    resize_model(model.get_ref("output_layer"), nO)
    # Containers copied the dimension when they were initialized.
    for node in (model, *model.get_ref("scorer").walk()):
        if node.has_dim("nO") and not node.has_param("W"):
            node.set_dim("nO", nO, force=True)
    return model


def to_rows(pieces: Pieces) -> Model[TokenVectors, Ragged]:
    """Gather the vectors to be scored, for a batch of documents at once.

    pieces (str): "first", "mean" or "all": see build_token_classifier.
    RETURNS (Model): List of TransformerData or (tokens, width) arrays to Ragged((rows, width), rows per token).
        A token without pieces has one row of zeros.
    """
    # Bound, not in attrs: thinc would let the saved value win over the config's at every load.
    return Model("to_rows", partial(_rows_forward, pieces=pieces))


def _rows_forward(
    model: Model, X: TokenVectors, is_train: bool, *, pieces: Pieces
) -> tuple[Ragged, Callable[[Ragged], TokenVectors]]:
    parts = [_gather(model.ops, x, pieces) for x in X]
    # Documents without tokens bring arrays without a width, which would not stack.
    rows = [part for part, _, _ in parts if len(part)]
    data = model.ops.xp.concatenate(rows) if rows else model.ops.alloc2f(0, 0)
    lengths = np.concatenate([part_lengths for _, part_lengths, _ in parts])

    def backprop(d_rows: Ragged) -> TokenVectors:
        ends = np.cumsum([len(part) for part, _, _ in parts])
        pulled = [pull(d_rows.dataXd[end - len(part) : end]) for (part, _, pull), end in zip(parts, ends, strict=True)]
        return [d for d in pulled if d is not None]

    return Ragged(data, cast(Ints1d, lengths)), backprop


def _gather(ops: Ops, x: TransformerData | Floats2d, pieces: Pieces) -> tuple[Floats2d, np.ndarray, Callable]:
    """Take one document's rows. RETURNS: rows, rows per token, and the way back for their gradient."""
    if not isinstance(x, TransformerData):
        return x, np.ones(len(x), dtype="i"), lambda d_rows: d_rows
    if "last_hidden_state" not in x.model_output:
        # An empty document. spacy-transformers wants no gradient for it, not an empty one.
        return ops.alloc2f(0, 0), np.zeros(0, dtype="i"), lambda d_rows: None
    hidden = ops.reshape2f(x.model_output.last_hidden_state, -1, x.width)
    index, lengths = _piece_index(x, pieces)
    at = ops.xp.asarray(np.maximum(index, 0))
    absent = ops.xp.asarray(index < 0)
    per_token = ops.xp.asarray(lengths)
    rows = hidden[at]
    rows[absent] = 0.0
    if pieces == "mean":
        rows = ops.reduce_mean(rows, per_token)

    def pull(d_rows: Floats2d) -> TransformerData:
        if pieces == "mean":
            d_rows = ops.backprop_reduce_mean(d_rows, per_token)
        d_hidden = ops.alloc2f(*hidden.shape)
        ops.scatter_add(d_hidden, at[~absent], d_rows[~absent])
        output = ModelOutput(last_hidden_state=d_hidden.reshape(x.model_output.last_hidden_state.shape))
        return TransformerData(wordpieces=x.wordpieces, model_output=output, align=x.align)

    return rows, lengths if pieces == "all" else np.ones(len(lengths), dtype="i"), pull


def _piece_index(x: TransformerData, pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """Say which pieces to take. RETURNS: indices, -1 for "none there", and how many of them per token."""
    lengths = _to_numpy(x.align.lengths)
    data = _to_numpy(x.align.dataXd).reshape(-1)
    starts = np.cumsum(lengths) - lengths
    if pieces == "first":
        index = np.full(len(lengths), -1, dtype="i")
        index[lengths > 0] = data[starts[lengths > 0]]
        return index, np.ones(len(lengths), dtype="i")
    # Whitespace has no pieces in spacy-transformers' alignment: it gets one that stands for "none there".
    return np.insert(data, starts[lengths == 0], -1), np.maximum(lengths, 1)


def _to_numpy(array: np.ndarray) -> np.ndarray:
    return array if isinstance(array, np.ndarray) else array.get()
