"""`learning-curve`: would more annotation help? Trains on a quarter, half, three quarters and all of the data."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from wasabi import msg

from spacy_bert_ner.terminal import divider

from .arguments import check_corpora
from .options import CheckpointEvery, Code, Epochs, Evaluations, Fresh, GpuId, Opt, Processes, TrainingConfig
from .overrides import options_of, read_overrides
from .train import parse_epochs, refuse_torchrun, train_or_exit
from .wrapping import CommandError

if TYPE_CHECKING:
    from spacy_bert_ner.training.data_curve import DataPoint

# A gain below so many points of the score is not worth annotating for.
LEAST_GAIN = 0.5


def learning_curve_cli(
    ctx: typer.Context,
    config: TrainingConfig,
    output: Annotated[Path, Opt("--output", "--output-path", "-o", help="Folder for the curve and its runs")],
    code: Code = None,
    gpu_id: GpuId = -1,
    fresh: Fresh = False,
    epochs: Epochs = "auto",
    evaluations: Evaluations = None,
    checkpoint_every: CheckpointEvery = 10,
    processes: Processes = 1,
) -> None:
    """Train on parts of the training data, and say what more of it would give; resumed where it was interrupted.

    The config's settings can be overridden, as for train: --training.dropout 0.2.
    """
    refuse_torchrun("learning-curve")
    overrides = read_overrides(ctx.args, config, options_of(ctx))
    check_corpora(config, overrides)
    from spacy_bert_ner.training.training_error import RunError

    asked = {"epochs": parse_epochs(epochs), "evaluations": evaluations}
    options = {"use_gpu": gpu_id, "code": code, "interval": 60 * checkpoint_every, "processes": processes}
    try:
        points = train_parts(config, output, overrides, fresh, asked, options)
    except RunError as error:
        raise CommandError("The learning curve cannot go on", str(error)) from error
    show_points(points)


def train_parts(
    config: Path,
    output: Path,
    overrides: dict[str, Any],
    fresh: bool,
    asked: dict[str, Any],
    options: dict[str, Any],
) -> "list[DataPoint]":
    """Train on each part that has no point yet.

    config (Path): Training config.
    output (Path): Where the curve and the runs go.
    overrides (dict[str, Any]): Settings of the config, by dotted path.
    fresh (bool): Whether to begin anew.
    asked, options (dict[str, Any]): See training.running.train; what is asked for makes another curve.
    RETURNS (list[DataPoint]): All points, from the smallest part on.
    RAISES: RunError where the folder holds the curve of something else.
    """
    from spacy.util import load_config

    from spacy_bert_ner.training import data_curve

    setting, path = data_curve.locate_corpus(load_config(config, overrides=overrides, interpolate=False))
    docs = data_curve.read_documents(path)
    if fresh and (output / data_curve.POINTS).exists():
        (output / data_curve.POINTS).unlink()
    store = data_curve.PointStore(output)
    for part, share in data_curve.CURVE_PARTS.items():
        run, chosen, given = output / part, docs, overrides
        if share < 1:
            chosen = data_curve.choose_documents(docs, share)
            given = overrides | {setting: str(run / "train.spacy")}
            data_curve.write_part(chosen, run / "train.spacy")
        asking = data_curve.fingerprint_of(config, given, options["code"], options["use_gpu"], **asked)
        if not store.is_done(part, asking):
            divider(f"{part}: {len(chosen)} of {len(docs)} documents")
            train_or_exit(config, run, overrides=given, fresh=fresh, **asked, **options)
            store.add(data_curve.best_point(part, chosen, run), asking)
        if share < 1:
            # What is kept of them is their points: who wants a pipeline wants that of all the data.
            for name in ("model-best", "model-last"):
                shutil.rmtree(run / name, ignore_errors=True)
    return [store.points[part] for part in data_curve.CURVE_PARTS]


def show_points(points: "Sequence[DataPoint]") -> None:
    """Print the curve, and what twice the data is expected to give."""
    from spacy_bert_ner.training.data_curve import expected_gain

    divider("Learning curve")
    names = [name for name in points[-1].scores if name != "speed"]
    header = ("part", "documents", "words", "entities", "score", *names)
    rows = [
        (p.part, p.documents, p.words, p.entities, f"{p.score:.1f}", *(f"{p.scores[name]:.1f}" for name in names))
        for p in points
    ]
    msg.table(rows, header=header, divider=True, aligns=["l", *"r" * (len(header) - 1)])
    gain = expected_gain(points)
    if gain < LEAST_GAIN:
        msg.info("Twice as much annotation of this kind would hardly help: the score does not rise with it any more")
    else:
        msg.info(f"Twice as much annotation would give about {gain:+.1f} points of the score")
    msg.text("By one run on each part: small differences mean nothing")
