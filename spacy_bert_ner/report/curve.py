"""The training curve, read from its file or from spaCy's log."""

import json
from pathlib import Path
from typing import TypedDict


class CurvePoint(TypedDict):
    """An evaluation in training. losses: By component, since the evaluation before."""

    step: int
    score: float
    losses: dict[str, float]


def read_curve(path: Path) -> list[CurvePoint]:
    """Read the curve that training wrote, or the `output_file` of `spacy.ConsoleLogger.v3`, which has the same form.

    path (Path): The file, one JSON object a line with "epoch", "step", "losses", "scores" and "score".
    RETURNS (list[CurvePoint]): Its evaluations.
    RAISES: ValueError that names file and line where a line is not of that form.
    """
    curve: list[CurvePoint] = []
    for number, line in enumerate(path.read_text(encoding="utf8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            losses = {name: float(loss) for name, loss in entry.get("losses", {}).items()}
            curve.append(CurvePoint(step=int(entry["step"]), score=float(entry["score"]), losses=losses))
        except (AttributeError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'{path}:{number}: found {line[:60]!r}, expected an object with "step" and "score": give the curve '
                "that training wrote, or the output_file of spacy.ConsoleLogger.v3"
            ) from error
    return curve
