"""The evaluation as one self-contained HTML page: no network, no script."""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from spacy_bert_ner.evaluation import Evaluation
from spacy_bert_ner.evaluation.console import percent
from spacy_bert_ner.evaluation.error_kinds import VERDICTS
from spacy_bert_ner.evaluation.excerpts import Excerpt

from . import figures
from .advice import advise
from .marks import mark

HERE = Path(__file__).parent


def render(evaluation: Evaluation, *, curve: list[dict[str, Any]] | None = None) -> str:
    """Write the report.

    evaluation (Evaluation): What to report; its metrics have "model" (lang, name, version) besides what `evaluate`
        puts there.
    curve (list[dict[str, Any]] | None): The training's log, see `read_curve`.
    RETURNS (str): The page, complete.
    """
    metrics = evaluation.metrics
    types = metrics["errors"]["confusion"]["types"]

    def marks(excerpt: Excerpt, which: str) -> Markup:
        entities, others = (excerpt.gold, excerpt.found) if which == "gold" else (excerpt.found, excerpt.gold)
        return Markup(mark(excerpt.text, entities, others, types))

    # Nothing that a corpus or a label holds gets into the page unescaped; the figures are this package's own.
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


def _draw(metrics: dict[str, Any], curve: list[dict[str, Any]]) -> dict[str, figures.Plot]:
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


def read_curve(path: Path) -> list[dict[str, Any]]:
    """Read a training's log as `spacy.ConsoleLogger.v3` writes it to its `output_file`.

    path (Path): The log, one JSON object a line with "epoch", "step", "losses", "scores" and "score".
    RETURNS (list[dict[str, Any]]): Its lines.
    RAISES: ValueError that names file and line where a line is not of that form.
    """
    curve = []
    for number, line in enumerate(path.read_text(encoding="utf8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            curve.append({**entry, "step": int(entry["step"]), "score": float(entry["score"])})
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'{path}:{number}: found {line[:60]!r}, expected an object with "step" and "score": give the '
                "output_file of spacy.ConsoleLogger.v3"
            ) from error
    return curve
