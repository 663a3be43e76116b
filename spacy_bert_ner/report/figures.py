"""The report's figures, each with its text alternative: a description and the same as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from spacy_bert_ner.evaluation.console import percent
from spacy_bert_ner.evaluation.error_kinds import ERROR_VERDICTS, VERDICTS
from spacy_bert_ner.evaluation.typed_figures import ErrorKindFigures, Figures, Metrics

from .curve import CurvePoint
from .dots import Dot, dot_of, draw_dots, ends_of
from .svg import ACCENT, INK, MUTED, SECOND, Canvas, canvas

# With more, a figure cannot be read at a glance; the table beside it has all types.
MAX_TYPES = 9


@dataclass(frozen=True)
class Plot:
    """A figure of the report.

    name (str): Its name in the page.
    title (str): What question it answers.
    description (str): What it shows, in words: its text alternative.
    svg (str): The figure.
    header (tuple[str, ...]), rows (Sequence[tuple[str, ...]]): The same as a table.
    """

    name: str
    title: str
    description: str
    svg: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def plot_types(metrics: Metrics) -> Plot:
    """Plot F1 by type with its interval, on gold tokens and on raw text. RETURNS (Plot): The figure."""
    raw = metrics["raw_text"]
    on_text: dict[str, Figures] = raw["types"] if raw else {}
    pairs: list[tuple[str, Figures, Figures | None]] = [
        ("all", metrics, raw),
        *((name, row, on_text.get(name)) for name, row in metrics["types"].items()),
    ]
    described = "; ".join(f"{name} {percent(row['f1'], 1)}" for name, row, _ in pairs)
    description = f"F1 in per cent on gold tokens: {described}."
    frequent = sorted((row["counts"]["gold"] for _, row, _ in pairs[1:]), reverse=True)[:MAX_TYPES]
    shown = [*pairs[:1], *[pair for pair in pairs[1:] if pair[1]["counts"]["gold"] >= frequent[-1]][:MAX_TYPES]]
    with canvas("types", description, 0.9 + 0.4 * len(shown)) as c:
        draw_dots(c, [dot_of(row) for _, row, _ in shown], ACCENT, "gold tokens", -0.13 if raw else 0.0)
        if raw:
            draw_dots(c, [dot_of(row) for _, _, row in shown], SECOND, "raw text", 0.16)
        _name_rows(c, [name for name, _, _ in shown])
        _percent_axis(c, [end for _, *rows in shown for row in rows for end in ends_of(dot_of(row))])
        c.ax.set_xlabel(
            "F1, per cent" + ("; the most frequent types" if len(shown) < len(pairs) else ", 95 % intervals")
        )
        c.ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0, handletextpad=0.2)
    rows = [(name, _with_interval(row), _with_interval(other)) for name, row, other in pairs]
    return Plot("types", "F1 by type", description, c.svg, ("type", "F1, gold tokens", "F1, raw text"), rows)


def plot_errors(metrics: Metrics) -> Plot:
    """Plot how many errors there are of each kind, and the F1 gain of fixing them. RETURNS (Plot): The figure."""
    gains = {kind["verdict"]: kind["gain"] for kind in metrics["errors"]["kinds"] if not _is_single(kind)}
    counts = [metrics["errors"]["verdicts"][verdict] for verdict in ERROR_VERDICTS]
    names = [VERDICTS[verdict] for verdict in ERROR_VERDICTS]
    rows = [(n, str(k), f"{100 * gains[v]:.1f}") for n, k, v in zip(names, counts, ERROR_VERDICTS, strict=True)]
    description = "Errors by kind: " + "; ".join(f"{name.lower()} {count}" for name, count, _ in rows) + "."
    with canvas("errors", description, 0.75 + 0.44 * len(rows)) as c:
        bars = c.ax.barh(range(len(rows)), counts, height=0.55, color=ACCENT)
        labels = [f"{count} (+{gain})" for _, count, gain in rows]
        c.ax.bar_label(bars, labels=labels, color=INK, fontsize=10, padding=4)
        _name_rows(c, [name.replace(", ", ",\n") for name in names])
        c.ax.set_xlim(0, max(1, *counts) * 1.4)
        c.ax.set_xlabel("errors (F1 gain in points)")
        c.ax.locator_params(axis="x", nbins=4, integer=True)
    return Plot("errors", "Errors by kind", description, c.svg, ("kind", "errors", "F1 gain, points"), rows)


def plot_confusion(metrics: Metrics) -> Plot:
    """Plot which type is taken for which; of many types, those that are confused most. RETURNS (Plot): The figure."""
    names = [*metrics["errors"]["confusion"]["types"], "none"]
    table = metrics["errors"]["confusion"]["table"]
    cells = [(table[i][j], gold, found) for i, gold in enumerate(names) for j, found in enumerate(names) if i != j]
    worst = "; ".join(f"{g} as {f} {k} times" for k, g, f in sorted(cells, reverse=True)[:3] if k) or "nothing"
    description = f"Gold types by predicted types. Most frequent off the diagonal: {worst}."
    shown, counts = _fold(names, table)
    with canvas("confusion", description, 1.1 + 0.5 * len(shown)) as c:
        c.ax.grid(visible=False)
        for i, row in enumerate(counts):
            for j, value in enumerate(row):
                # What is spurious is a share of what was predicted, all else of what is gold.
                whole = sum(row) if i < len(shown) - 1 else sum(other[j] for other in counts)
                _cell(c, i, j, value, whole, last=i == j == len(shown) - 1)
        slant = 40 if len(shown) > 6 or any(len(name) > 6 for name in shown) else 0
        c.ax.set_xlim(-0.5, len(shown) - 0.5)
        c.ax.set_xticks(
            range(len(shown)),
            [_short(name, 14) for name in shown],
            color=INK,
            rotation=slant,
            ha="left" if slant else "center",
        )
        c.ax.tick_params(length=0, labeltop=True, labelbottom=False)
        c.ax.spines["bottom"].set_visible(False)
        _name_rows(c, shown)
        c.ax.set_title("predicted", fontsize=10.5, color=MUTED)
        c.ax.set_ylabel("gold")
    rows = [(name, *map(str, row)) for name, row in zip(names, table, strict=True)]
    return Plot("confusion", "Gold type by predicted type", description, c.svg, ("gold", *names), rows)


def _fold(names: list[str], table: list[list[int]]) -> tuple[list[str], list[list[int]]]:
    """Put all types but the most confused ones together, where they are more than can be read."""
    types = range(len(names) - 1)
    if len(types) <= MAX_TYPES:
        return names, table
    errors = [sum(table[i]) + sum(row[i] for row in table) - 2 * table[i][i] for i in types]
    kept = sorted(sorted(types, key=lambda i: -errors[i])[: MAX_TYPES - 1])
    place = {i: kept.index(i) if i in kept else len(kept) for i in types} | {len(types): len(kept) + 1}
    folded = [[0] * (len(kept) + 2) for _ in range(len(kept) + 2)]
    for i, row in enumerate(table):
        for j, value in enumerate(row):
            folded[place[i]][place[j]] += value
    return [*(names[i] for i in kept), "others", "none"], folded


def _cell(c: Canvas, i: int, j: int, value: int, total: int, *, last: bool) -> None:
    """Shade by the share of the whole; off the diagonal strongly, since the shares are small there."""
    from matplotlib.patches import Rectangle

    share = value / total if total else 0.0
    colour, alpha = (ACCENT, 0.5 * share) if i == j else (SECOND, min(0.75, 5 * share))
    c.ax.add_patch(Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, facecolor=colour, alpha=alpha, linewidth=0))
    text = "" if last else str(value) if value else "·"
    c.ax.text(j, i, text, ha="center", va="center", color=INK if value else MUTED, fontsize=10.5)


def plot_slices(metrics: Metrics) -> Plot | None:
    """Plot F1 of every slice with its interval. RETURNS (Plot | None): The figure; None where there are no slices."""
    lines: list[tuple[str, Figures | None]] = []
    for way in metrics["slices"]:
        if not way["missing"]:
            lines.append((way["title"], None))
            lines.extend((f"{name}  ({row['counts']['gold']:,})", row) for name, row in way["slices"].items())
    if metrics["f1"] is None or not lines:
        return None
    known = [(name, row["f1"]) for name, row in lines if row and row["f1"] is not None]
    weakest, value = min(known, key=lambda pair: pair[1])
    description = (
        f"F1 of {len(known)} slices against {percent(metrics['f1'], 1)} overall; lowest: {weakest} {percent(value, 1)}."
    )
    with canvas("slices", description, 0.6 + 0.27 * len(lines), width=5.2) as c:
        c.ax.axvline(100 * metrics["f1"], color=SECOND, linewidth=1, linestyle=(0, (4, 3)))
        draw_dots(c, [dot_of(row) for _, row in lines], ACCENT, "F1", 0.0)
        _name_rows(c, [name for name, _ in lines], max_length=40)
        for label, (_, row) in zip(c.ax.get_yticklabels(), lines, strict=True):
            label.set_fontweight("normal" if row else "bold")
        _percent_axis(c, [end for _, row in lines for end in ends_of(dot_of(row))])
        c.ax.set_xlabel("F1; dashed: all entities")
    rows = [(name, percent(r["precision"], 1), percent(r["recall"], 1), _with_interval(r)) for name, r in lines if r]
    header = ("slice (gold entities)", "precision", "recall", "F1")
    return Plot("slices", "F1 by slice", description, c.svg, header, rows)


def plot_reliability(metrics: Metrics) -> Plot | None:
    """Plot the share right against the score. RETURNS (Plot | None): The figure; None where there are no scores."""
    if not metrics["scores"]:
        return None
    raw = metrics["raw_text"]["scores"] if metrics["raw_text"] else None
    forms = [("gold tokens", metrics["scores"], ACCENT), *([("raw text", raw, SECOND)] if raw else [])]
    rows = [
        (name, f"{b['score']:.3f}", f"{b['right']:.3f}", f"{b['count']:.0f}")
        for name, scores, _ in forms
        for b in scores["reliability"]
    ]
    errors = ", ".join(f"{scores['summary']['ece']:.3f} on {name}" for name, scores, _ in forms)
    description = f"Share of predictions that is right against their score; expected calibration error {errors}."
    low = min(0.9, *(b[key] for _, scores, _ in forms for b in scores["reliability"] for key in ("score", "right")))
    low = max(0.0, int(low * 20) / 20 - 0.02)
    with canvas("reliability", description, 3.6) as c:
        c.ax.grid(axis="both")
        c.ax.plot([low, 1], [low, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for name, scores, colour in forms:
            x, y = ([b[key] for b in scores["reliability"]] for key in ("score", "right"))
            c.ax.plot(x, y, color=colour, linewidth=1.5, marker="o", markersize=6, label=name)
        c.ax.legend(loc="lower right", borderaxespad=0.5)
        c.ax.set(xlim=(low, 1.01), ylim=(low, 1.01), xlabel="mean score", ylabel="share right")
        c.ax.text(0.03, 0.95, "below the line:\ntoo confident", transform=c.ax.transAxes, va="top", color=MUTED)
    header = ("", "mean score", "share right", "entities")
    return Plot("reliability", "Reliability of scores", description, c.svg, header, rows)


def plot_curve(curve: Sequence[CurvePoint]) -> Plot | None:
    """Plot the dev score in training. RETURNS (Plot | None): The figure; None where no curve was given."""
    if not curve:
        return None
    steps, scores = [line["step"] for line in curve], [100 * line["score"] for line in curve]
    best = max(range(len(curve)), key=scores.__getitem__)
    description = (
        f"Score on the development set by step: best {scores[best]:.1f} at step {steps[best]:,} of {steps[-1]:,}."
    )
    with canvas("curve", description, 3.2) as c:
        c.ax.grid(axis="both")
        c.ax.plot(steps, scores, color=ACCENT, linewidth=1.5, marker="o", markersize=4)
        c.ax.plot(
            steps[best], scores[best], marker="o", markersize=9, color="none", markeredgecolor=SECOND, clip_on=False
        )
        c.ax.annotate(
            f"{scores[best]:.1f}", (steps[best], scores[best]), (0, -18), textcoords="offset points", ha="center"
        )
        # The scores of the first steps are low, and would flatten the curve after them.
        floor = sorted(scores)[max(len(scores) // 4, min(1, len(scores) - 2))]
        c.ax.set_ylim(max(0, floor - max(2, 0.3 * (scores[best] - floor))), min(100, scores[best] + 2))
        c.ax.set(xlabel="step", ylabel="score, per cent")
    losses = [", ".join(f"{name} {loss:.2f}" for name, loss in line["losses"].items()) for line in curve]
    rows = [(str(a), f"{b:.2f}", loss) for a, b, loss in zip(steps, scores, losses, strict=True)]
    return Plot("curve", "Training", description, c.svg, ("step", "score", "losses"), rows)


def plot_comparison(metrics: Metrics) -> Plot | None:
    """Plot by how much F1 differs from the other pipeline's. RETURNS (Plot | None): The figure."""
    if not metrics["comparison"] or not metrics["comparison"]["rows"]:
        return None
    found = {name: row["f1"] for name, row in metrics["comparison"]["rows"].items()}
    rows = [
        (name, signed(d["difference"]), signed_interval(d["interval"]), p_value(d["p_value"]))
        for name, d in found.items()
    ]
    description = "Difference in F1, this pipeline less the other: " + "; ".join(f"{r[0]} {r[1]}" for r in rows) + "."
    with canvas("comparison", description, 0.8 + 0.36 * len(rows)) as c:
        c.ax.axvline(0, color=MUTED, linewidth=1)
        known = [Dot(value=d["difference"], ends=d["interval"]) for d in found.values()]
        draw_dots(c, known, ACCENT, "", 0.0)
        _name_rows(c, list(found))
        c.ax.set_xlabel("points of F1; right of 0: this pipeline is better")
    return Plot(
        "comparison", "Difference by type", description, c.svg, ("type", "difference", "95 % interval", "p"), rows
    )


def signed(value: float | None) -> str:
    """RETURNS (str): A difference in points, with its sign."""
    return "-" if value is None else f"{100 * value:+.2f}"


def signed_interval(ends: Sequence[float] | None) -> str:
    """RETURNS (str): An interval of differences in points."""
    return "-" if ends is None else f"{signed(ends[0])} to {signed(ends[1])}"


def p_value(value: float | None) -> str:
    """RETURNS (str): A p-value; resampling cannot tell small ones apart."""
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _name_rows(c: Canvas, names: Sequence[str], max_length: int = 20) -> None:
    c.ax.set_yticks(range(len(names)), [_short(name, max_length) for name in names])
    c.ax.set_ylim(len(names) - 0.5, -0.5)


def _short(name: str, max_length: int) -> str:
    """Shorten a label; a mathematical formula is nothing that a label holds. RETURNS (str): The label."""
    lines = [line if len(line) <= max_length else line[: max_length - 1] + "…" for line in name.split("\n")]
    return "\n".join(lines).replace("$", r"\$")


def _percent_axis(c: Canvas, values: Sequence[float]) -> None:
    low = 100 * min(values, default=0.0)
    c.ax.set_xlim(max(0, low - 0.05 * (100 - low) - 0.5), 100.5)
    c.ax.locator_params(axis="x", nbins=5)


def _with_interval(row: Figures | None) -> str:
    dot = dot_of(row)
    ends = dot["ends"]
    return percent(dot["value"], 1) + (f" ({percent(ends[0], 1)} to {percent(ends[1], 1)})" if ends else "")


def _is_single(kind: ErrorKindFigures) -> bool:
    return kind["gold"] is not None or kind["found"] is not None
