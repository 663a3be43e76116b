"""What a component needs of the components before it."""

from collections.abc import Sequence

from spacy.tokens import Doc
from thinc.api import Model

NO_OUTPUT = (
    "Component {name!r} listens to a transformer, but a document ({start!r}) has no output of one (doc._.trf_data): "
    "the transformer did not run before it, or `doc_cleaner` did. Order the pipeline as transformer, {name}, ..., "
    "doc_cleaner, and keep the transformer where components are selected or disabled."
)


def require_transformer_output(model: Model, docs: Sequence[Doc], name: str) -> None:
    """Refuse documents that a listener cannot read: spacy-transformers' would go on with zeros and find nothing.

    model (Model): The component's model; one without a transformer's listener needs nothing.
    docs (Sequence[Doc]): The documents.
    name (str): The component's name.
    RAISES: ValueError where a document with tokens has no transformer's output.
    """
    if not any(node.name == "transformer-listener" for node in model.walk()):
        return
    for doc in docs:
        if len(doc) and doc._.trf_data is None:
            raise ValueError(NO_OUTPUT.format(name=name, start=doc[:5].text))
