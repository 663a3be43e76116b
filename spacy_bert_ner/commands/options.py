"""Options that several commands take: the same name for the same thing, as spaCy's own commands call it."""

from pathlib import Path
from typing import Annotated

from typer import Argument as Arg
from typer import Option as Opt

__all__ = [
    "Arg",
    "CheckpointEvery",
    "Code",
    "Epochs",
    "Evaluations",
    "Force",
    "Fresh",
    "GpuId",
    "Json",
    "Opt",
    "Processes",
    "TrainingConfig",
    "TrainingCorpus",
    "Verbose",
]

CheckpointEvery = Annotated[
    float, Opt("--checkpoint-every", help="Minutes between checkpoints, beside one at each evaluation", min=0)
]
Code = Annotated[
    Path | None,
    Opt("--code", "-c", help="Python file with registered functions to import", exists=True, dir_okay=False),
]
Epochs = Annotated[str, Opt("--epochs", help="Passes over the training data; auto for the config's steps")]
Evaluations = Annotated[int | None, Opt("--evaluations", help="Evaluations in the whole run", min=1)]
Force = Annotated[bool, Opt("--force", "-F", help="Replace what is there")]
Fresh = Annotated[bool, Opt("--fresh", help="Start over, even if the folder holds an unfinished run")]
GpuId = Annotated[int, Opt("--gpu-id", "-g", help="GPU, or -1 for the CPU")]
Json = Annotated[Path | None, Opt("--json", help="Where to write the figures (.json)", dir_okay=False)]
Processes = Annotated[int, Opt("--processes", help="How many train together, each on a part of every batch", min=1)]
TrainingConfig = Annotated[Path, Arg(help="Training config (.cfg)", exists=True, dir_okay=False)]
TrainingCorpus = Annotated[
    Path | None, Opt("--train", "-t", help="Training data (.spacy), to know which entities it showed", exists=True)
]
Verbose = Annotated[bool, Opt("--verbose", "-V", help="Say more, and where an error was raised")]
