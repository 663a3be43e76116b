"""The evaluation as one self-contained HTML page: no network, no script."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from spacy_bert_ner.evaluation import Evaluation
from spacy_bert_ner.evaluation.console import percent
from spacy_bert_ner.evaluation.error_kinds import VERDICTS
from spacy_bert_ner.evaluation.excerpts import Excerpt
from spacy_bert_ner.evaluation.typed_figures import Metrics

from . import figures
from .advice import advise
from .curve import CurvePoint
from .marks import mark

HERE = Path(__file__).parent


def render(evaluation: Evaluation, *, curve: list[CurvePoint] | None = None) -> str:
    """Write the report.

    evaluation (Evaluation): What to report.
    curve (list[CurvePoint] | None): The training curve, see `curve.read_curve`.
    RETURNS (str): The whole page.
    """
    metrics = evaluation.metrics
    types = metrics["errors"]["confusion"]["types"]

    def marks(excerpt: Excerpt, which: str) -> Markup:
        entities, others = (excerpt.gold, excerpt.found) if which == "gold" else (excerpt.found, excerpt.gold)
        return Markup(mark(excerpt.text, entities, others, types))

    # Everything from the corpus, labels included, is escaped; the figures are made by this package.
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        percent=percent, signed=figures.signed, signed_interval=figures.signed_interval, p_value=figures.p_value
    )
    return environment.get_template("report.html.j2").render(
        m=metrics,
        errors=evaluation.errors,
        strings=evaluation.strings,
        plots=_draw(metrics, curve or []),
        advice=advise(metrics),
        verdicts=VERDICTS,
        marks=marks,
        style=Markup((HERE / "style.css").read_text(encoding="utf8")),
        svg=Markup,
    )


def _draw(metrics: Metrics, curve: list[CurvePoint]) -> dict[str, figures.Plot]:
    plots = [
        figures.plot_types(metrics),
        figures.plot_errors(metrics),
        figures.plot_confusion(metrics),
        figures.plot_slices(metrics),
        figures.plot_reliability(metrics),
        figures.plot_curve(curve),
        figures.plot_comparison(metrics),
    ]
    return {plot.name: plot for plot in plots if plot}
