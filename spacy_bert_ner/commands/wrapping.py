"""The wrapper of every command: it prints errors in one line, with what to do, and with a traceback on request."""

import logging
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import Parameter, signature
from typing import Any, NoReturn

import typer
from wasabi import msg, wrap

from .options import Verbose

# What is raised when a damaged file or pipeline is read: spaCy's files are compressed msgpack.
UNREADABLE = (OSError, ValueError, zlib.error)
PLACE = "--verbose shows where the error was raised"
# By package, the extra of setup.cfg.
EXTRAS = {
    "torch": "torch",
    "datasets": "train",
    "huggingface_hub": "train",
    "jinja2": "train",
    "markupsafe": "train",
    "matplotlib": "train",
    "pyarrow": "train",
    "scipy": "train",
    "setuptools": "train",
    "transformers": "train",
    "spacy_transformers": "bridge",
    "onnx": "export",
    "onnxruntime": "onnx",
    "fastapi": "serve",
    "prometheus_client": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
}


class CommandError(Exception):
    """An error that ends a command, printed as a headline and a text.

    title, text (str): What was found; what was expected, or what to type.
    """

    def __init__(self, title: str, text: str = "") -> None:
        super().__init__(title, text)
        self.title, self.text = title, text


def wrap_command(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command print errors in one line, and add the option --verbose.

    command (Callable): The command, a function as typer takes it.
    RETURNS (Callable): The same, with the option.
    """

    @wraps(command)
    def run(*args: Any, verbose: bool = False, **kwargs: Any) -> None:
        if verbose:
            logging.getLogger("spacy").setLevel(logging.DEBUG)
        try:
            command(*args, **kwargs)
        except ImportError as error:
            if verbose or not (advice := describe_missing(error)):
                raise
            msg.fail(*advice, exits=1)
        except CommandError as error:
            if verbose and error.__cause__ is not None:
                raise error.__cause__ from None
            fail(error.title, error.text)
        except UNREADABLE as error:
            if verbose:
                raise
            msg.fail(describe_error(error), PLACE, exits=1)

    known = signature(command, eval_str=True)
    option = Parameter("verbose", Parameter.KEYWORD_ONLY, default=False, annotation=Verbose)
    own = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in known.parameters.values()]
    run.__signature__ = known.replace(parameters=[*own, option])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, option]}
    return run


def fail(title: str, text: str) -> NoReturn:
    """Print an error and end the process. text (str): In lines, which wasabi alone would join to one."""
    typer.echo()
    msg.fail(title)
    for line in text.splitlines():
        typer.echo(wrap(line.strip(), indent=len(line) - len(line.lstrip())))
    typer.echo()
    sys.exit(1)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """End the command with the reason where something cannot be read.

    what (str): What then failed.
    RAISES: CommandError.
    """
    try:
        yield
    except UNREADABLE as error:
        raise CommandError(what, describe_error(error)) from error


def describe_error(error: BaseException) -> str:
    """RETURNS (str): An error's message; for errors of the operating system, file and reason."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def describe_missing(error: ImportError) -> tuple[str, str] | None:
    """RETURNS (tuple[str, str] | None): Which package is missing, and what installs it; None where no extra does."""
    package = (error.name or "").partition(".")[0]
    if package in EXTRAS:
        return f"{package} is not installed", f'pip install "spacy-bert-ner[{EXTRAS[package]}]"'
    return (str(error), "") if "spacy-bert-ner[" in str(error) else None
