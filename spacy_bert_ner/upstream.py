"""What a component needs of the components before it."""

from collections.abc import Sequence

from spacy.language import Language
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


def require_upstream(model: Model, nlp: Language, name: str) -> None:
    """Refuse a pipeline in which nothing before the component feeds its listener.

    model (Model): The component's model; one without a transformer's listener needs nothing.
    nlp (Language): The pipeline.
    name (str): The component's name.
    RAISES: ValueError that names the setting and the components there are.
    """
    before = nlp.component_names[: nlp.component_names.index(name)] if name in nlp.component_names else []
    feeding = [other for other, pipe in nlp.components if other in before and hasattr(pipe, "add_listener")]
    for node in model.walk():
        upstream = getattr(node, "upstream_name", None)
        if upstream is not None and not (feeding if upstream == "*" else upstream in feeding):
            raise ValueError(
                f"[components.{name}.model.tok2vec] upstream = {upstream!r}: the components before {name!r} that can "
                f"be listened to are {', '.join(feeding) or 'none'}. Put a transformer before it in [nlp] pipeline, "
                'and name that one, or "*" for any'
            )
