"""Rates as dots with their intervals."""

from collections.abc import Sequence
from typing import TypedDict

from spacy_bert_ner.evaluation.typed_figures import Figures

from .svg import PAPER, Canvas


class Dot(TypedDict):
    """A rate as a dot with its interval; None where it is undefined, or where a row of a figure has none."""

    value: float | None
    ends: list[float] | None


NO_DOT = Dot(value=None, ends=None)


def dot_of(row: Figures | None) -> Dot:
    """RETURNS (Dot): The F1 of a group of entities, where there is one."""
    if row is None:
        return NO_DOT
    return Dot(value=row["f1"], ends=row["interval"]["f1"] if row["interval"] else None)


def draw_dots(c: Canvas, rows: Sequence[Dot], colour: str, label: str, offset: float) -> None:
    """Draw rates as dots, their intervals as lines. Rows without a rate stay empty."""
    ends = [(i + offset, *row["ends"]) for i, row in enumerate(rows) if row["ends"]]
    if ends:
        y, low, high = zip(*ends, strict=True)
        c.ax.hlines(y, [100 * x for x in low], [100 * x for x in high], color=colour, linewidth=2, alpha=0.55)
    dots = [(100 * row["value"], i + offset) for i, row in enumerate(rows) if row["value"] is not None]
    x, y = zip(*dots, strict=True) if dots else ((), ())
    c.ax.plot(x, y, "o", color=colour, markersize=6.5, markeredgecolor=PAPER, markeredgewidth=1, label=label)


def ends_of(dot: Dot) -> list[float]:
    """RETURNS (list[float]): What a figure must have room for: the ends of the interval, and the rate itself."""
    return [*(dot["ends"] or []), *([dot["value"]] if dot["value"] is not None else [])]
