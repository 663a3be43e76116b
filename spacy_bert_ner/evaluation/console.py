"""Measures as rows for the console."""

from typing import Any

HEADER = ("type", "precision", "recall", "F1", "95 % interval", "gold", "predicted", "correct")


def table(metrics: dict[str, Any]) -> list[tuple[str, ...]]:
    """Lay measures out. RETURNS (list[tuple[str, ...]]): A row for each type, one for all, one for all on raw text."""
    rows = [*metrics["types"].items(), ("all", metrics)]
    if metrics["raw_text"]:
        rows.append(("all, raw text", metrics["raw_text"]))
    return [_cells(name, row) for name, row in rows]


def _cells(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    ends = row["interval"] and row["interval"]["f1"]
    return (
        name,
        *(percent(row[rate]) for rate in ("precision", "recall", "f1")),
        f"{percent(ends[0])} - {percent(ends[1])}" if ends else "-",
        *(str(row["counts"][key]) for key in ("gold", "predicted", "correct")),
    )


def percent(share: float | None, digits: int = 2) -> str:
    """RETURNS (str): A share as per cent, "-" where undefined."""
    return "-" if share is None else f"{100 * share:.{digits}f}"
