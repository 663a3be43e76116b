"""Entities in their sentence, by displaCy."""

from collections.abc import Sequence
from html import escape

from spacy import displacy

from spacy_bert_ner.tags import Entity

# Hues that differ in lightness as well; the label is written beside the text in any case.
HUES = 8
TEMPLATE = '<mark class="entity{differs}" style="background: {bg}">{text}<span class="label">{label}</span></mark>'


def mark(text: str, entities: Sequence[Entity], others: Sequence[Entity], types: Sequence[str]) -> str:
    """Render a sentence with its entities.

    text (str): The sentence.
    entities (Sequence[Entity]): Its entities, in characters.
    others (Sequence[Entity]): The entities to compare with: those of `entities` that are not among them are outlined.
    types (Sequence[str]): All types, which decides their colours.
    RETURNS (str): HTML. Whatever text and labels hold is escaped.
    """
    # displaCy escapes texts, but not labels; it looks colours up by the label in capitals.
    spans = [
        {
            "start": ent.start,
            "end": ent.end,
            "label": escape(ent.label),
            "params": {"differs": "" if ent in others else " differs"},
        }
        for ent in entities
    ]
    colours = {escape(name).upper(): f"var(--type-{i % HUES})" for i, name in enumerate(types)}
    options = {"colors": colours, "template": TEMPLATE}
    doc = {"text": text, "ents": spans}
    return str(displacy.render(doc, style="ent", manual=True, jupyter=False, options=options))
