"""Options that several commands take: the same name for the same thing, as spaCy's own commands call it."""

from pathlib import Path
from typing import Annotated

from typer import Argument as Arg
from typer import Option as Opt

__all__ = ["Arg", "Code", "Force", "GpuId", "Json", "Opt", "TrainingCorpus", "Verbose"]

Code = Annotated[
    Path | None,
    Opt("--code", "-c", help="Python file with registered functions to import", exists=True, dir_okay=False),
]
Force = Annotated[bool, Opt("--force", "-F", help="Replace what is there")]
GpuId = Annotated[int, Opt("--gpu-id", "-g", help="GPU, or -1 for the CPU")]
Json = Annotated[Path | None, Opt("--json", help="Where to write the figures (.json)", dir_okay=False)]
TrainingCorpus = Annotated[
    Path | None, Opt("--train", "-t", help="Training data (.spacy), to know which entities it showed", exists=True)
]
Verbose = Annotated[bool, Opt("--verbose", "-V", help="Say more, and where an error was raised")]
