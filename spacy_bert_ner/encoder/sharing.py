"""One encoder for several components, by spaCy's own seam: the model of its `tok2vec` component, and a cleaner.

tok2vec (spacy-bert-ner.Tok2Vec.v1) ─► doc.tensor ─► tagger, parser, textcat, bert_ner (spacy.Tok2VecListener.v1)
"""

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import numpy as np
from spacy.tokens import Doc
from thinc.api import Model, chain
from thinc.types import Floats2d

from spacy_bert_ner.checks import check_choice, check_number
from spacy_bert_ner.storage.models import CheckedModel

from .choices import Pooling
from .pooling import gather
from .vectors import PieceVectors

SHARED_SECTION = '@architectures = "spacy-bert-ner.Tok2Vec.v1"'


def build_tok2vec(
    encoder: Model[list[Doc], PieceVectors], width: int, pooling: Pooling = "first"
) -> Model[list[Doc], list[Floats2d]]:
    """Encode documents to one vector per token: the model of spaCy's `tok2vec` component, for its listeners.

    encoder (Model[list[Doc], PieceVectors]): `spacy-bert-ner.Encoder.v1`.
    width (int): The width of the encoder's vectors, which listeners must know beforehand; they say
        `width = ${components.tok2vec.model.width}`.
    pooling (str): Which of a word's pieces stand for it: the "first", or the "mean" of all.
    RETURNS (Model[list[Doc], list[Floats2d]]): Documents to arrays of shape (tokens, width).
    RAISES: ValueError for a setting out of range, or later, at initialization, where the encoder has another width.
    """
    check_choice(SHARED_SECTION, "pooling", pooling, get_args(Pooling))
    check_number(SHARED_SECTION, "width", width, lambda x: x == int(x) and x >= 1, "the width of the encoder's vectors")
    pool: Model[PieceVectors, list[Floats2d]] = Model("pool_pieces", partial(_pool_forward, pooling=pooling))
    chained: Model[list[Doc], list[Floats2d]] = chain(encoder, pool)
    model: Model[list[Doc], list[Floats2d]] = CheckedModel(
        "tok2vec",
        chained._func,
        init=partial(_init, width=width),
        dims={"nO": width},
        layers=chained.layers,
    )
    model.set_ref("encoder", encoder)
    return model


def _init(model: Model, X: list[Doc] | None = None, Y: Any = None, *, width: int) -> None:
    encoder = model.get_ref("encoder")
    encoder.initialize(X=X)
    found = encoder.get_dim("nO")
    if found != width:
        raise ValueError(
            f"[{SHARED_SECTION}] width = {width}: the encoder's vectors have {found} numbers. Set width = {found} "
            "there, and width = ${components.tok2vec.model.width} in every listener"
        )


def _pool_forward(
    model: Model, X: PieceVectors, is_train: bool, *, pooling: Pooling
) -> tuple[list[Floats2d], Callable[[list[Floats2d]], PieceVectors]]:
    rows, _, pull = gather(model.ops, X, pooling)
    ends = np.cumsum(X.tokens)
    # Copies: doc.tensor outlives the batch, all of which a view would keep.
    vectors = [rows[end - size : end].copy() for size, end in zip(X.tokens.tolist(), ends.tolist(), strict=True)]

    def backprop(d_vectors: list[Floats2d]) -> PieceVectors:
        return pull(model.ops.xp.concatenate(d_vectors))

    return vectors, backprop
