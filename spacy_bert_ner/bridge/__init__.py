"""The bridge to spacy-transformers, where it is installed: its `transformer` component with our encoder, and listeners.

Pipelines of version 0.1.0 are made so. Nothing here imports spacy-transformers before a config asks for one of these
architectures; the modules beside this one do.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from spacy_bert_ner.encoder.choices import Precision
from spacy_bert_ner.ner.standin import NEEDS_SPACY_TRANSFORMERS

if TYPE_CHECKING:
    from spacy.tokens import Doc
    from thinc.api import Model
    from thinc.types import Floats2d, Ragged

    from spacy_bert_ner.encoder.vectors import PieceVectors


def build_transformer_model(
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
    tokenizer_config: dict[str, Any] | None = None,
    transformer_config: dict[str, Any] | None = None,
) -> "Model[list[Doc], Any]":
    """Encode documents of any length: a model for spacy-transformers' `transformer` factory.

    All arguments: see encoder.model.build_encoder_model.
    RETURNS (Model[list[Doc], FullTransformerBatch]): The model.
    RAISES: ImportError without spacy-transformers; ValueError as build_encoder_model.
    """
    require_spacy_transformers("spacy-bert-ner.TransformerModel.v1")
    from spacy_bert_ner.encoder.settings import EncoderSettings

    from .transformer_model import make_transformer_model

    return make_transformer_model(
        EncoderSettings(
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
            tokenizer_config=tokenizer_config or {},
            transformer_config=transformer_config or {},
            architecture="spacy-bert-ner.TransformerModel.v1",
        )
    )


def build_transformer_listener(upstream: str = "*", grad_factor: float = 1.0) -> "Model[list[Doc], PieceVectors]":
    """Connect a TokenClassifier to a `transformer` component earlier in the pipeline.

    Unlike spacy-transformers' listener it does not pool: the classifier reads the word pieces themselves.

    upstream (str): Name of the transformer component, or "*" for whichever there is.
    grad_factor (float): Multiplies the gradient sent upstream. To leave the transformer as it is, freeze it instead
        (`frozen_components`): weight decay moves it whatever the gradient.
    RETURNS (Model[list[Doc], PieceVectors]): The listener.
    RAISES: ImportError without spacy-transformers; ValueError for a setting out of range.
    """
    require_spacy_transformers("spacy-bert-ner.TransformerListener.v1")
    from .listener import make_listener

    return make_listener(upstream, grad_factor)


def build_tok2vec_transformer(
    transformer: "Model[list[Doc], Any]",
    pooling: "Model[Ragged, Floats2d] | None" = None,
    grad_factor: float = 1.0,
) -> "Model[list[Doc], PieceVectors | list[Floats2d]]":
    """Use an encoder inside one component, as its own tok2vec: what `nlp.replace_listeners` puts in.

    transformer (Model[list[Doc], FullTransformerBatch]): The encoder, of `spacy-bert-ner.TransformerModel.v1`.
    pooling (Model[Ragged, Floats2d] | None): Pieces to one vector per token, for spaCy's components; None leaves the
        pieces as they are, for TokenClassifier.
    grad_factor (float): Multiplies the gradient sent to the encoder.
    RETURNS (Model): Documents to pieces, or to arrays of shape (tokens, width).
    RAISES: ImportError without spacy-transformers; ValueError where grad_factor is negative.
    """
    require_spacy_transformers("spacy-bert-ner.Tok2VecTransformer.v1")
    from .listener import make_tok2vec

    return make_tok2vec(transformer, pooling, grad_factor)


def require_spacy_transformers(what: str) -> None:
    """Refuse what needs spacy-transformers where it is not installed. RAISES: ImportError that names the extra."""
    if find_spec("spacy_transformers") is None:
        raise ImportError(NEEDS_SPACY_TRANSFORMERS.format(what=what))
