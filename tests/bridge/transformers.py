"""What tests of the bridge share: encoders for the `transformer` factory, their vectors and gradients."""

from pathlib import Path
from typing import Any

import numpy as np
from spacy.tokens import Doc
from thinc.api import Model

from spacy_bert_ner.bridge import build_transformer_model
from tests.encoder.encoders import doc_of, gradients


def make(name: Path | str, **settings: Any) -> Model[list[Doc], Any]:
    settings = {"window": 64, "stride": 48, "precision": "fp32", "case_features": False, **settings}
    model = build_transformer_model(str(name), **settings)
    model.initialize(X=[doc_of(["hello"])])
    return model


def vectors_of(data: Any) -> Any:
    return data.model_output.last_hidden_state[0] if data.model_output else np.zeros((0, 32), dtype="f")


def predict(model: Model, docs: list[Doc]) -> list[Any]:
    return [vectors_of(data) for data in model.predict(docs).doc_data]


def backward(model: Model, docs: list[Doc], d_vectors: list[Any]) -> dict[str, Any]:
    """Send gradients back by document, as listeners do. RETURNS: The parameters' gradients."""
    batch, backprop = model.begin_update(docs)
    backprop(batch.unsplit_by_doc([[d[None]] for d in d_vectors if len(d)]))
    return gradients(model)
