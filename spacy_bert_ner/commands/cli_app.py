"""All commands as one app, for `python -m spacy bert-ner` and `python -m spacy_bert_ner`.

Their modules import what they run when they run it, so that `--help` answers before spaCy and torch could be imported.
"""

from collections.abc import Callable
from typing import Annotated

import typer

from spacy_bert_ner import __version__
from spacy_bert_ner.terminal import follow_terminal

from .annotate import annotate_cli
from .audit import audit_cli
from .calibrate import calibrate_cli
from .convert import convert_cli
from .debug import debug_cli
from .distill import distill_cli
from .evaluate import evaluate_cli
from .export import export_cli
from .fetch import fetch_cli
from .init_config import init_config_cli
from .learning_curve import learning_curve_cli
from .package import package_cli
from .quantize import quantize_cli
from .serve import serve_cli
from .suggest import suggest_cli
from .train import train_cli
from .upgrade import upgrade_cli
from .verify import verify_cli
from .wrapping import wrap_command

# In the order of the workflow.
COMMANDS: dict[str, Callable[..., None]] = {
    "fetch": fetch_cli,
    "convert": convert_cli,
    "init-config": init_config_cli,
    "debug": debug_cli,
    "train": train_cli,
    "distill": distill_cli,
    "learning-curve": learning_curve_cli,
    "audit": audit_cli,
    "calibrate": calibrate_cli,
    "quantize": quantize_cli,
    "evaluate": evaluate_cli,
    "export": export_cli,
    "package": package_cli,
    "verify": verify_cli,
    "upgrade": upgrade_cli,
    "annotate": annotate_cli,
    "suggest": suggest_cli,
    "serve": serve_cli,
}
# Options that these do not know are settings of the config.
TAKE_SETTINGS = {"audit", "debug", "distill", "learning-curve", "train"}

bert_ner_cli = typer.Typer(
    name="bert-ner",
    no_args_is_help=True,
    add_completion=False,
    # Plain text is as readable, and comes sooner.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for name, command in COMMANDS.items():
    free = {"allow_extra_args": True, "ignore_unknown_options": True} if name in TAKE_SETTINGS else {}
    bert_ner_cli.command(name, context_settings=free)(wrap_command(command))


def show_version(asked: bool) -> None:
    """Print the version and end, where --version asks for it."""
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@bert_ner_cli.callback()
def prepare(
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show it")] = False,
) -> None:
    """Named-entity recognition by spacy-bert-ner, from a corpus to an installed model."""
    follow_terminal()
