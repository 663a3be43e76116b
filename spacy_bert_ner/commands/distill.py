"""`distill`: training a student, which learns from other models as well, resumed where it was interrupted."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .options import CheckpointEvery, Code, Epochs, Evaluations, Fresh, GpuId, Opt, Processes, TrainingConfig
from .train import Output, train_or_exit
from .training_request import read_request
from .wrapping import CommandError

if TYPE_CHECKING:
    from spacy_bert_ner.training.distillation.distillation import Distillation


def distill_cli(
    ctx: typer.Context,
    config: TrainingConfig,
    output: Output,
    teacher: Annotated[list[str], Opt("--teacher", help="Trained pipeline to learn from; several are averaged")],
    texts: Annotated[
        list[str] | None, Opt("--texts", help="File, folder or glob of texts without annotation; several add up")
    ] = None,
    text_field: Annotated[str, Opt("--text-field", help="The texts' field that holds the text")] = "text",
    weight: Annotated[float, Opt("--weight", help="Of the teacher where there is annotation", min=0, max=1)] = 0.7,
    temperature: Annotated[float, Opt("--temperature", help="What the logits of both are divided by")] = 2.0,
    match: Annotated[
        Literal["tags", "sequences"], Opt("--match", help="Distributions over tags, or over sequences")
    ] = "sequences",
    targets: Annotated[
        Path | None, Opt("--targets", help="Folder of the targets, for several students", file_okay=False)
    ] = None,
    code: Code = None,
    gpu_id: GpuId = -1,
    fresh: Fresh = False,
    epochs: Epochs = "auto",
    evaluations: Evaluations = None,
    checkpoint_every: CheckpointEvery = 10,
    processes: Processes = 1,
) -> None:
    """Train the config's pipeline as `train` does, to predict what its teachers predict; the same command resumes.

    The config's settings can be overridden, as for train: --training.dropout 0.2.
    """
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
    if not 0 < temperature < math.inf:
        raise CommandError(f"--temperature {temperature}: expected a number above 0")
    settings = {"weight": weight, "temperature": temperature, "match": match, "targets": targets}
    written = tuple(filter(None, (output, targets)))
    train_or_exit(request, output, read_distillation(teacher, texts or [], text_field, written, settings))


def read_distillation(
    teachers: list[str], texts: list[str], field: str, written: tuple[Path, ...], settings: dict[str, Any]
) -> "Distillation":
    """RETURNS (Distillation): What the options say. RAISES: CommandError where one of them cannot be."""
    from spacy_bert_ner.training.distillation.distillation import Distillation
    from spacy_bert_ner.training.distillation.texts import Texts
    from spacy_bert_ner.training.training_error import RunError

    try:
        distillation = Distillation(tuple(teachers), Texts(tuple(texts), field, written), **settings)
        # At once, not after the first steps.
        distillation.texts.found  # noqa: B018
    except RunError as error:
        raise CommandError("Distillation cannot begin", str(error)) from error
    return distillation
