"""A factory `transformer` for environments without one, whose error says what to do.

spaCy's own (E002) lists the factories there are. A pipeline of version 0.1.0 asks for `transformer`.
"""

from importlib.metadata import entry_points
from typing import NoReturn

from spacy.language import Language

FACTORY = "transformer"
NEEDS_SPACY_TRANSFORMERS = (
    '{what} needs spacy-transformers, which is not installed: pip install "spacy-bert-ner[bridge]". A pipeline that '
    "was trained with spacy-bert-ner 0.1.0 needs it no more once it is turned into one component: "
    "python -m spacy bert-ner upgrade OLD NEW"
)


def register_standin() -> None:
    """Register the factory, unless an installed package brings one or it is registered already."""
    if Language.has_factory(FACTORY) or entry_points(group="spacy_factories", name=FACTORY):
        return
    # Without defaults, what a config says of the model would be refused before this is called.
    Language.factory(
        FACTORY, default_config={"model": None, "max_batch_items": 0, "set_extra_annotations": None}, func=make_standin
    )


def make_standin(
    nlp: Language, name: str, model: object, max_batch_items: int, set_extra_annotations: object
) -> NoReturn:
    """Stand for spacy-transformers' component. RAISES: ImportError that says what to type."""
    raise ImportError(NEEDS_SPACY_TRANSFORMERS.format(what=f'[components.{name}] factory = "{FACTORY}"'))
