"""`tensor_cleaner`: leaves a shared encoder's vectors behind, once every component has read them."""

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc


@Language.factory("tensor_cleaner", retokenizes=False)
def make_tensor_cleaner(nlp: Language, name: str) -> "TensorCleaner":
    """Make a component that empties `doc.tensor`, which `tok2vec` fills with 4 bytes times the width a token."""
    return TensorCleaner()


class TensorCleaner:
    """Empties `doc.tensor`. It stays an array, as spaCy's Doc begins with one: never None, which `doc.vector`, a span's
    `as_doc()` and others cannot read.
    """

    def __call__(self, doc: Doc) -> Doc:
        """Empty a document's tensor. RETURNS (Doc): The document."""
        doc.tensor = np.zeros((0,), dtype="float32")
        return doc
