"""What the command line asks of a training: the same for `train` and `distill`, and for those who train repeatedly."""

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from wasabi import msg

from .arguments import check_corpora
from .overrides import options_of, read_overrides

if TYPE_CHECKING:
    from thinc.api import Config

    from spacy_bert_ner.training.fingerprint import Fingerprint


@dataclass(frozen=True)
class TrainingRequest:
    """A training, but for its output and its teachers: see training.running.train.

    config (Path): Training config.
    overrides (dict[str, Any]): Its settings on the command line, by dotted path.
    code (Path | None): Python file with registered functions.
    use_gpu (int): GPU, or -1 for the CPU.
    fresh (bool): Whether to start over.
    epochs (float | None): Passes over the training corpus; None for the config's steps.
    evaluations (int | None): Evaluations in the whole run; None for as the config has it.
    interval (float): Seconds from one checkpoint to the next.
    processes (int): How many train together.
    """

    config: Path
    overrides: dict[str, Any]
    code: Path | None
    use_gpu: int
    fresh: bool
    epochs: float | None
    evaluations: int | None
    interval: float
    processes: int

    def with_setting(self, name: str, value: str) -> "TrainingRequest":
        """RETURNS (TrainingRequest): The same with another value of a setting. name (str): Its dotted path."""
        return replace(self, overrides=self.overrides | {name: value})

    def load_config(self) -> "Config":
        """RETURNS (Config): The config with the settings, variables not yet filled in."""
        from spacy.util import load_config

        return load_config(self.config, overrides=self.overrides, interpolate=False)

    def identify(self, **others: Any) -> "Fingerprint":
        """RETURNS (Fingerprint): What makes its run the same run. others: A command's further options, by name."""
        from spacy_bert_ner.training.data_curve import fingerprint_of

        asked = {"epochs": self.epochs, "evaluations": self.evaluations, **others}
        return fingerprint_of(self.config, self.overrides, self.code, self.use_gpu, **asked)


def read_request(
    ctx: typer.Context,
    config: Path,
    *,
    code: Path | None,
    gpu_id: int,
    fresh: bool,
    epochs: str,
    evaluations: int | None,
    checkpoint_every: float,
    processes: int,
) -> TrainingRequest:
    """Read the options that the commands share, and end the command at one that cannot be.

    ctx (typer.Context): The command's, with the config's settings.
    config (Path): Training config.
    others: As on the command line: see `options`.
    RETURNS (TrainingRequest): The training.
    RAISES: CommandError where a corpus of the config cannot be read.
    """
    overrides = read_overrides(ctx.args, config, options_of(ctx))
    check_corpora(config, overrides)
    return TrainingRequest(
        config=config,
        overrides=overrides,
        code=code,
        use_gpu=gpu_id,
        fresh=fresh,
        epochs=parse_epochs(epochs),
        evaluations=evaluations,
        interval=60 * checkpoint_every,
        processes=processes,
    )


def parse_epochs(epochs: str) -> float | None:
    """RETURNS (float | None): The number of epochs, None for auto; anything else ends the command."""
    if epochs == "auto":
        return None
    with suppress(ValueError):
        if math.isfinite(number := float(epochs)) and number > 0:
            return number
    msg.fail(f"--epochs {epochs}: expected a number above 0, or auto", exits=1)
    return None
