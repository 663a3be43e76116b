"""`train`: training as by `spacy train`, resumed where it was interrupted."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from wasabi import msg

from .options import CheckpointEvery, Code, Epochs, Evaluations, Fresh, GpuId, Opt, Processes, TrainingConfig
from .training_request import TrainingRequest, read_request
from .wrapping import PLACE, CommandError

Output = Annotated[Path, Opt("--output", "--output-path", "-o", help="Folder for model-best and model-last")]
if TYPE_CHECKING:
    from spacy_bert_ner.training.distillation.distillation import Distillation
    from spacy_bert_ner.training.kept_labels import KeptLabels

# The exit code that shells give to an interrupted process.
INTERRUPTED = 130


def train_cli(
    ctx: typer.Context,
    config: TrainingConfig,
    output: Output,
    code: Code = None,
    gpu_id: GpuId = -1,
    fresh: Fresh = False,
    epochs: Epochs = "auto",
    evaluations: Evaluations = None,
    checkpoint_every: CheckpointEvery = 10,
    processes: Processes = 1,
    keep: Annotated[
        str | None, Opt("--keep", help="Trained pipeline whose labels are kept where the data say nothing of them")
    ] = None,
    annotated: Annotated[
        list[str] | None, Opt("--annotated", help="Label that the data are annotated with; all that occur, by default")
    ] = None,
) -> None:
    """Train a pipeline as `spacy train` does; after an interruption, the same command resumes.

    The config's settings can be overridden: --training.dropout 0.2.
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
    train_or_exit(request, output, read_kept(keep, annotated or []))


def read_kept(model: str | None, annotated: list[str]) -> "KeptLabels | None":
    """RETURNS (KeptLabels | None): What --keep and --annotated say. RAISES: CommandError where it cannot be."""
    if model is None:
        if annotated:
            raise CommandError(f"--annotated {' '.join(annotated)}: it is for --keep MODEL, which is not there")
        return None
    from spacy_bert_ner.training.kept_labels import KeptLabels
    from spacy_bert_ner.training.training_error import RunError

    try:
        return KeptLabels(model, tuple(annotated))
    except RunError as error:
        raise CommandError("Training cannot begin", str(error)) from error


def refuse_torchrun(command: str) -> None:
    """End a command of several trainings that torchrun has started. command (str): Its name. RAISES: CommandError."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise CommandError(f"{command} is not for torchrun", "Several processes on one machine: --processes N")


def train_or_exit(request: TrainingRequest, output: Path, teaching: "Distillation | KeptLabels | None" = None) -> None:
    """Train; where that fails, print the reason and end the process.

    request (TrainingRequest): The training.
    output (Path): Where the pipelines go.
    teaching (Distillation | KeptLabels | None): Other models, from which the pipeline learns as well.
    """
    from spacy_bert_ner.training.parallel.group import LostError
    from spacy_bert_ner.training.parallel.launching import train_as_started, train_in_processes
    from spacy_bert_ner.training.training_error import RunError

    options: dict[str, Any] = {
        "use_gpu": request.use_gpu,
        "overrides": request.overrides,
        "code": request.code,
        "fresh": request.fresh,
        "interval": request.interval,
        "epochs": request.epochs,
        "evaluations": request.evaluations,
        "teaching": teaching,
    }
    try:
        if request.processes > 1:
            train_in_processes(request.processes, request.config, output, **options)
        else:
            train_as_started(request.config, output, **options)
    except LostError as error:
        raise CommandError("Training was broken off", f"{error}\n{how_to_go_on(output, teaching)}") from error
    except RunError as error:
        raise CommandError("Training cannot go on", str(error)) from error
    except KeyboardInterrupt:
        msg.warn("Interrupted", how_to_go_on(output, teaching))
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        again = f"{how_to_go_on(output, teaching)} {PLACE}."
        raise CommandError("Training failed", f"{type(error).__name__}: {error}\n{again}") from error


def how_to_go_on(output: Path, teaching: "Distillation | KeptLabels | None") -> str:
    """RETURNS (str): Where the run in a folder will resume, as a sentence."""
    from spacy_bert_ner.training.checkpoints import Checkpoints

    steps = Checkpoints(output).steps()
    if not steps:
        made = teaching.tell_progress(output) if teaching is not None else None
        return made or "There is no checkpoint yet: the same command begins anew."
    return f"The checkpoint after step {steps[0]} stands: the same command goes on from there."
