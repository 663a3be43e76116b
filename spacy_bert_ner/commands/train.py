"""`train`: what `spacy train` does, resumed where it was interrupted."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from spacy.cli._util import Arg, Opt, parse_config_overrides
from wasabi import msg


def train_cli(
    ctx: typer.Context,
    config: Annotated[Path, Arg(help="Training config (.cfg)", exists=True, dir_okay=False)],
    output: Annotated[Path, Opt("--output", "--output-path", "-o", help="Folder for model-best and model-last")],
    code: Annotated[Path | None, Opt("--code", "-c", help="Python file with registered functions to import")] = None,
    verbose: Annotated[bool, Opt("--verbose", "-V", help="Say more, for debugging")] = False,
    gpu_id: Annotated[int, Opt("--gpu-id", "-g", help="GPU, or -1 for the CPU")] = -1,
    fresh: Annotated[bool, Opt("--fresh", help="Start over, even if the folder holds an unfinished run")] = False,
    checkpoint_every: Annotated[
        float, Opt("--checkpoint-every", help="Minutes between checkpoints, beside one at each evaluation", min=0)
    ] = 10,
) -> None:
    """Train a pipeline as `spacy train` does; run again after an interruption, the same command goes on where it was.

    The config's settings can be overridden: --training.dropout 0.2.
    """
    from spacy import util

    if verbose:
        util.logger.setLevel(logging.DEBUG)
    options = {"use_gpu": gpu_id, "code": code, "fresh": fresh, "interval": 60 * checkpoint_every}
    train_or_exit(config, output, overrides=parse_config_overrides(ctx.args), **options)


def train_or_exit(config: Path, output: Path, **options: Any) -> None:
    """Train; where that cannot go on, say why and end the process.

    config (Path): Training config.
    output (Path): Where the pipelines go.
    options (Any): See training.running.train.
    """
    from ..training.errors import RunError
    from ..training.running import train

    try:
        train(config, output, **options)
    except RunError as error:
        msg.fail("Training cannot go on", str(error), exits=1)
