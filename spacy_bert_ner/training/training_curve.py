"""The training curve: the score and the losses at each evaluation, beside the pipelines, for the report.

    {"epoch":1,"step":120,"losses":{"bert_ner":31.2},"scores":{"ents_f":88.1},"score":0.881}

One line per evaluation, in the form of the output_file of `spacy.ConsoleLogger.v3`; written from the run's `Progress`,
whatever its logger is.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import srsly

from spacy_bert_ner.storage.files import write_atomically

CURVE = "curve.jsonl"


def write_curve(evaluations: Iterable[dict[str, Any]], scores: Sequence[str], output: Path) -> None:
    """Write the curve of a run, atomically.

    evaluations (Iterable[dict[str, Any]]): What loggers got at each evaluation: see loop.Progress.
    scores (Sequence[str]): Names of the scores to keep.
    output (Path): The run's folder.
    """
    lines = []
    for told in evaluations:
        found = {name: float(told["other_scores"].get(name) or 0.0) for name in scores}
        line = {
            "epoch": told["epoch"],
            "step": told["step"],
            "losses": {name: float(loss) for name, loss in told["losses"].items()},
            # In per cent, but for words per second.
            "scores": {name: score if name == "speed" else 100 * score for name, score in found.items()},
            "score": float(told["score"]),
        }
        lines.append(srsly.json_dumps(line) + "\n")
    write_atomically(output / CURVE, "".join(lines).encode())
