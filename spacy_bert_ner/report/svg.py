"""matplotlib figures as inline SVG whose colours are the page's, light or dark."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# matplotlib wants real colours: these stand for the page's, and none is used for anything else.
INK, MUTED, LINE, ACCENT, SECOND, PAPER = "#010001", "#020002", "#030003", "#040004", "#050005", "#060006"
THEME = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    SECOND: "var(--second)",
    PAPER: "var(--paper)",
}
# In inches. A point is shown as about a pixel on a phone and as somewhat more on a desktop.
FIGURE_WIDTH = 4.4
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "spacy-bert-ner",
    "font.family": ["DejaVu Sans"],
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9.5,
}


class Canvas:
    """A figure while it is drawn.

    ax (Axes): Where to draw.
    svg (str): The result, once drawing is over.
    """

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.ax: Axes = figure.add_subplot()
        self.svg = ""


@contextmanager
def canvas(name: str, description: str, height: float, width: float = FIGURE_WIDTH) -> Iterator[Canvas]:
    """Draw a figure in the project's style.

    name (str): A name of its own in the page, a word.
    description (str): What the figure shows, for those who cannot see it.
    height, width (float): In inches.
    YIELDS (Canvas): Where to draw.
    """
    with rc_context(STYLE):
        drawing = Canvas(Figure(figsize=(width, height), dpi=72, layout="constrained"))
        yield drawing
        buffer = io.StringIO()
        drawing.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    drawing.svg = _inline(buffer.getvalue(), name, description)


def _inline(svg: str, name: str, description: str) -> str:
    """Make a stand-alone SVG part of a page: its colours, its fonts, ids that no other figure has, no fixed size."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, replacement in THEME.items():
        svg = svg.replace(colour, replacement)
    svg = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", "var(--font)", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg).replace("url(#", f"url(#{name}-")
    opening = svg[: svg.index(">") + 1]
    view = re.search(r'viewBox="[^"]*"', opening)
    label = description.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    attributes = 'xmlns:xlink="http://www.w3.org/1999/xlink" role="img"'
    return f'<svg {view[0] if view else ""} {attributes} aria-label="{label}">' + svg[len(opening) :]
