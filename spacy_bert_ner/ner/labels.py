"""The entity types of a component that is initialized."""

from collections.abc import Callable, Iterable, Sequence

from spacy.training import Example


def find_labels(
    get_examples: Callable[[], Iterable[Example]], labels: Sequence[str] | None, known: Sequence[str], name: str
) -> Sequence[str]:
    """Say which entity types a component is to learn.

    get_examples (Callable[[], Iterable[Example]]): Gives a representative sample of the training data.
    labels (Sequence[str] | None): Those that the config names.
    known (Sequence[str]): Those that the component has.
    name (str): The component's name.
    RETURNS (Sequence[str]): Those; where it names none, those of the examples, sorted.
    RAISES: ValueError where that is no list, or there is no entity type at all.
    """
    if labels is None:
        labels = sorted({ent.label_ for eg in get_examples() for ent in eg.reference.ents})
    if isinstance(labels, str) or not isinstance(labels, Sequence):
        raise ValueError(f"[initialize.components.{name}] labels = {labels!r}: expected a list of entity types")
    if not labels and not known:
        raise ValueError(
            f"Component {name!r} found no entity type: the training data hold no entities and "
            f"[initialize.components.{name}] names no labels. Check that doc.ents is set in the training data "
            "(`python -m spacy bert-ner debug CONFIG`)."
        )
    return labels
