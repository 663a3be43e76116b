"""Colours where there is a terminal, none where output goes to a file or a pipe, or NO_COLOR is set."""

import os
import sys

import typer
from wasabi import msg
from wasabi.util import ENV_ANSI_DISABLED

WIDTH = 80


def follow_terminal() -> None:
    """Print no colours from now on where there is no terminal to show them."""
    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        # For the tables, and for the printers that spaCy makes for itself.
        os.environ[ENV_ANSI_DISABLED] = "1"
        msg.show_color = False


def divider(title: str) -> None:
    """Print a headline: wasabi's own is bold even where there are no colours."""
    if msg.show_color:
        msg.divider(title)
    else:
        typer.echo(f"\n{f' {title} ':=^{WIDTH}}")
