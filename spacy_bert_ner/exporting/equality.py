"""Whether graphs give what the torch module gives, on texts of several windows in which words recur."""

from functools import partial
from typing import Any, cast

import numpy as np
import torch
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Ragged

from spacy_bert_ner.arrays import Array
from spacy_bert_ner.encoder.encoding import encode_documents
from spacy_bert_ner.encoder.layout import lay_out
from spacy_bert_ner.encoder.model import get_settings, get_shim
from spacy_bert_ner.encoder.vectors import PieceVectors, first_pieces

TEXTS = (
    "Angela Merkel met officials of the World Health Organization in Geneva on Tuesday.",
    "The carmaker Toyota will open a plant near Manchester, its chairman told Reuters. " * 20,
    "WHO",
)


def largest_difference(nlp: Language, old: Model, new: Model) -> float:
    """Compare logits.

    nlp (Language): For its tokenizer.
    old (Model): spacy-bert-ner.TokenClassifier.v1 with an encoder.
    new (Model): What was exported of it.
    RETURNS (float): The largest absolute difference.
    """
    docs = [nlp.make_doc(text) for text in TEXTS]
    found = np.asarray(new.predict(docs).dataXd)
    return float(np.abs(found - compute_logits(old, docs)).max())


def compute_logits(model: Model, docs: list[Doc]) -> Array:
    """Compute logits by torch in fp32, whatever the config's precision, or in int8. RETURNS (Array): (words, tags)."""
    tok2vec, to_rows, scorer = model.layers
    shim, settings = get_shim(tok2vec), get_settings(tok2vec)
    layout = lay_out(shim.pieces, settings, docs, is_train=False)
    run = partial(encode_documents, layout, shim.pieces, settings.max_batch_pieces)
    with torch.no_grad():
        found = shim.predict(run) if shim.is_quantized else run(shim.encoder)
    vectors = found.float().cpu().numpy()
    own = PieceVectors(cast(Any, vectors), np.concatenate(layout.counts), layout.tokens)
    rows = cast(Ragged, scorer.predict(to_rows.predict(own)))
    return np.asarray(rows.dataXd)[first_pieces(np.asarray(rows.lengths))]
