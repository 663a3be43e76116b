"""Measures as rows for the console."""

from .typed_figures import RATES, Figures, Metrics

TABLE_HEADER = ("type", "precision", "recall", "F1", "95 % interval", "gold", "predicted", "correct")


def table(metrics: Metrics) -> list[tuple[str, ...]]:
    """Lay measures out. RETURNS (list[tuple[str, ...]]): A row for each type, one for all, one for all on raw text."""
    rows: list[tuple[str, Figures]] = [*metrics["types"].items(), ("all", metrics)]
    if metrics["raw_text"]:
        rows.append(("all, raw text", metrics["raw_text"]))
    return [_cells(name, row) for name, row in rows]


def _cells(name: str, row: Figures) -> tuple[str, ...]:
    ends = row["interval"] and row["interval"]["f1"]
    return (
        name,
        *(percent(row[rate]) for rate in RATES),
        f"{percent(ends[0])} - {percent(ends[1])}" if ends else "-",
        *(str(count) for count in (row["counts"]["gold"], row["counts"]["predicted"], row["counts"]["correct"])),
    )


def percent(share: float | None, digits: int = 2) -> str:
    """RETURNS (str): A share as per cent, "-" where undefined."""
    return "-" if share is None else f"{100 * share:.{digits}f}"
