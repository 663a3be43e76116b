"""What a component that listens needs of the components before it."""

from collections.abc import Sequence

from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model

LISTENER_NODE = "transformer-listener"
NO_OUTPUT = (
    "Component {name!r} listens to a transformer, but a document ({start!r}) has no output of one (doc._.trf_data): "
    "the transformer did not run before it, or `doc_cleaner` did. Order the pipeline as transformer, {name}, ..., "
    "doc_cleaner, and keep the transformer where components are selected or disabled."
)

OTHER_TOKENS = (
    "Component {name!r} listens to a transformer, but a document ({start!r}) has {found} tokens, and the transformer "
    "saw {expected}: a component between them merges or splits tokens. Put {name!r} directly behind the transformer, "
    "and that component behind it."
)

NO_WIDTH = (
    "Component {name!r} listens to a transformer, but none before it in the pipeline has weights: add `transformer` "
    "first. One that is frozen is not initialized: source it from a pipeline that was, and was saved "
    '([components.transformer] source = "FOLDER").'
)


def require_transformer(model: Model, name: str) -> None:
    """Refuse to initialize a listener whose width no transformer has set: thinc's error would not say why.

    model (Model): The component's model; one without a transformer's listener needs nothing.
    name (str): The component's name.
    RAISES: ValueError where there is no transformer, or none with weights.
    """
    if any(node.name == LISTENER_NODE and not node.has_dim("nO") for node in model.walk()):
        raise ValueError(NO_WIDTH.format(name=name))


def listens(model: Model) -> bool:
    """RETURNS (bool): Whether a model reads what a transformer has written."""
    return any(node.name == LISTENER_NODE for node in model.walk())


def reads_upstream(model: Model) -> bool:
    """RETURNS (bool): Whether a model listens to any other component."""
    return any(getattr(node, "upstream_name", None) is not None for node in model.walk())


def require_transformer_output(model: Model, docs: Sequence[Doc], name: str) -> None:
    """Refuse documents that a listener cannot read: spacy-transformers' would go on with zeros and find nothing.

    model (Model): The component's model; one without a transformer's listener needs nothing.
    docs (Sequence[Doc]): The documents.
    name (str): The component's name.
    RAISES: ValueError where a document with tokens has no transformer's output, or one of other tokens.
    """
    if not listens(model):
        return
    for doc in docs:
        if not len(doc):
            continue
        data = doc._.trf_data
        if data is None:
            raise ValueError(NO_OUTPUT.format(name=name, start=doc[:5].text))
        if len(data.align.lengths) != len(doc):
            raise ValueError(
                OTHER_TOKENS.format(name=name, start=doc[:5].text, found=len(doc), expected=len(data.align.lengths))
            )


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
                f"be listened to are {', '.join(feeding) or 'none'}. Put a tok2vec or transformer before it in [nlp] "
                'pipeline, and name that one, or "*" for any'
            )
