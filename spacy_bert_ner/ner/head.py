"""Tag logits for tokens: the head of `bert_ner`, over any tok2vec.

    tok2vec ─► to_rows(pieces) ─► dropout ─► linear ─► Ragged: rows of logits, so many rows a token

A tok2vec gives either one vector per token (any spaCy tok2vec) or word pieces (`spacy-bert-ner.Encoder.v1`), of which
`pieces` says which ones carry a token's label.
"""

from collections.abc import Callable
from functools import partial
from typing import cast, get_args

import numpy as np
from spacy.tokens import Doc
from thinc.api import Dropout, Linear, Model, chain, resizable, with_array
from thinc.layers.resizable import resize_linear_weighted, resize_model
from thinc.types import Floats2d, Ints1d, Ragged

from spacy_bert_ner.checks import check_choice, check_number
from spacy_bert_ner.encoder.choices import Pieces
from spacy_bert_ner.encoder.pooling import gather
from spacy_bert_ner.encoder.vectors import PieceVectors
from spacy_bert_ner.storage.models import CheckedModel

# How messages call the section of the config, wherever it stands.
CLASSIFIER_SECTION = '@architectures = "spacy-bert-ner.TokenClassifier.v1"'
TokenVectors = PieceVectors | list[Floats2d]


def build_token_classifier(
    tok2vec: Model[list[Doc], TokenVectors], pieces: Pieces = "first", nO: int | None = None
) -> Model[list[Doc], Ragged]:
    """Score every token for every tag with one linear layer over a tok2vec.

    tok2vec (Model): Any spaCy tok2vec, or `spacy-bert-ner.Encoder.v1` for word pieces.
    pieces (str): Which pieces of a word carry its label: "first"; "mean", the average of all of them; or "all",
        where every piece is scored and trained and the first decides (`label_all_tokens` of Hugging Face's
        examples). A tok2vec that gives one vector per token has one "piece" a token, so that "all" is refused there.
    nO (int | None): Number of tags; the component sets it.
    RETURNS (Model[list[Doc], Ragged]): Documents to logits of shape (rows, tags), and `lengths`, rows per token
        of the whole batch, at least 1 each.
    RAISES: ValueError for a setting out of range, or for "all" where the tok2vec has no word pieces.
    """
    check_choice(CLASSIFIER_SECTION, "pieces", pieces, get_args(Pieces))
    if pieces == "all" and not tok2vec.attrs.get("gives_pieces"):
        raise ValueError(
            f"[{CLASSIFIER_SECTION}] pieces = 'all' needs the word pieces of an encoder, but the tok2vec "
            f"{tok2vec.name!r} gives one vector per token. Use @architectures = 'spacy-bert-ner.Encoder.v1' as the "
            "tok2vec, or pieces = 'first'."
        )
    if nO is not None:
        check_number(CLASSIFIER_SECTION, "nO", nO, lambda x: x >= 1, "null, or a whole number of tags")
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
    RETURNS (Model): PieceVectors, or a list of (tokens, width) arrays, to Ragged((rows, width), rows per token).
    """
    # Bound, not in attrs: thinc would let the saved value win over the config's at every load.
    return Model("to_rows", partial(_rows_forward, pieces=pieces))


def _rows_forward(
    model: Model, X: TokenVectors, is_train: bool, *, pieces: Pieces
) -> tuple[Ragged, Callable[[Ragged], TokenVectors]]:
    return _from_pieces(model, X, pieces) if isinstance(X, PieceVectors) else _from_tokens(model, X)


def _from_tokens(model: Model, X: list[Floats2d]) -> tuple[Ragged, Callable[[Ragged], TokenVectors]]:
    """Join documents that come with one vector per token."""
    sizes = [len(x) for x in X]
    # Documents without tokens bring arrays without a width, which would not stack.
    rows = [x for x in X if len(x)]
    data = model.ops.xp.concatenate(rows) if rows else model.ops.alloc2f(0, 0)

    def backprop(d_rows: Ragged) -> list[Floats2d]:
        ends = np.cumsum(sizes)
        d_data = cast(Floats2d, d_rows.dataXd)
        return [d_data[end - size : end] for size, end in zip(sizes, ends, strict=True)]

    return Ragged(data, _rows_per_token(np.ones(sum(sizes)))), backprop


def _from_pieces(model: Model, X: PieceVectors, pieces: Pieces) -> tuple[Ragged, Callable[[Ragged], TokenVectors]]:
    """Take the pieces that carry labels."""
    rows, lengths, pull = gather(model.ops, X, pieces)
    return Ragged(rows, _rows_per_token(lengths)), lambda d_rows: pull(d_rows.dataXd)


def _rows_per_token(lengths: np.ndarray) -> Ints1d:
    # thinc's Ragged wants 32 bits; they stay in NumPy, on a GPU as well.
    return lengths.astype("i")  # type: ignore[return-value]
