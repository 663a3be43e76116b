"""The doubts as one self-contained HTML page in the report's look: no network, no script."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from spacy_bert_ner.report import HERE as REPORT
from spacy_bert_ner.report.marks import mark
from spacy_bert_ner.tags import Entity

from .places import DOUBT_KINDS
from .shown_doubts import ShownDoubt

# A page with more could not be read, and would load slowly; the files for the tools have all.
PAGE_DOUBTS = 500


def render_audit(shown: Sequence[ShownDoubt], figures: dict[str, Any]) -> str:
    """Write the page.

    shown (Sequence[ShownDoubt]): The doubts, ranked.
    figures (dict[str, Any]): See `audit_run.describe_audit`.
    RETURNS (str): The whole page.
    """
    types = sorted({entity.label for each in shown for entity in (*each.annotated, *each.suggested)})

    def marks(text: str, reading: Sequence[Entity], other: Sequence[Entity]) -> Markup:
        return Markup(mark(text, reading, other, types))

    # Everything from the corpus, labels included, is escaped.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("audit.html.j2").render(
        figures=figures,
        shown=shown[:PAGE_DOUBTS],
        listed=len(shown),
        kinds=DOUBT_KINDS,
        marks=marks,
        style=Markup((REPORT / "style.css").read_text(encoding="utf8")),
    )
