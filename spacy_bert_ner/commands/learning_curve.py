"""`learning-curve`: would more annotation help? Trains on a quarter, half, three quarters and all of the data."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from wasabi import msg

from spacy_bert_ner.terminal import divider

from .options import CheckpointEvery, Code, Epochs, Evaluations, Fresh, GpuId, Opt, Processes, TrainingConfig
from .train import refuse_torchrun, train_or_exit
from .training_request import TrainingRequest, read_request
from .wrapping import CommandError

if TYPE_CHECKING:
    from spacy_bert_ner.training.data_curve import DataPoint


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
    request = read_request(
        ctx,
        config,
        code=code,
        gpu_id=gpu_id,
        fresh=fresh,
        epochs=epochs,
        evaluations=evaluations,
        checkpoint_every=checkpoint_every,
        processes=processes,
    )
    from spacy_bert_ner.training.training_error import RunError

    try:
        points = train_parts(request, output)
    except RunError as error:
        raise CommandError("The learning curve cannot go on", str(error)) from error
    show_points(points)


def train_parts(request: TrainingRequest, output: Path) -> "list[DataPoint]":
    """Train on each part that has no point yet.

    request (TrainingRequest): The training on all of the data.
    output (Path): Where the curve and the runs go.
    RETURNS (list[DataPoint]): All points, from the smallest part on.
    RAISES: RunError where the folder holds the curve of something else, or the documents are too few.
    """
    from spacy_bert_ner.training import data_curve

    setting, path = data_curve.locate_corpus(request.load_config())
    docs = data_curve.read_documents(path)
    data_curve.require_parts(docs, path)
    if request.fresh and (output / data_curve.POINTS).exists():
        (output / data_curve.POINTS).unlink()
    store = data_curve.PointStore(output)
    for part, share in data_curve.CURVE_PARTS.items():
        run, chosen, own = output / part, docs, request
        if share < 1:
            chosen = data_curve.choose_documents(docs, share)
            own = request.with_setting(setting, str(run / "train.spacy"))
            data_curve.write_part(chosen, run / "train.spacy")
        identity = own.identify()
        if not store.is_done(part, identity):
            divider(f"{part}: {len(chosen)} of {len(docs)} documents")
            train_or_exit(own, run)
            store.add(data_curve.best_point(part, chosen, run), identity)
        if share < 1:
            # What is kept of them is their points: who wants a pipeline wants that of all the data.
            for name in ("model-best", "model-last"):
                shutil.rmtree(run / name, ignore_errors=True)
    return [store.points[part] for part in data_curve.CURVE_PARTS]


def show_points(points: "Sequence[DataPoint]") -> None:
    """Print the curve, and what twice the data is expected to give."""
    from spacy_bert_ner.training.data_curve import foretell

    divider("Learning curve")
    names = [name for name in points[-1].scores if name != "speed"]
    header = ("part", "documents", "words", "entities", "score", *names)
    rows = [
        (p.part, p.documents, p.words, p.entities, f"{p.score:.1f}", *(f"{p.scores[name]:.1f}" for name in names))
        for p in points
    ]
    msg.table(rows, header=header, divider=True, aligns=["l", *"r" * (len(header) - 1)])
    msg.info(foretell(points))
    msg.text("By one run on each part: small differences mean nothing")
