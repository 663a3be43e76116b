"""What a command lacks where only the core is installed, and which extra brings it."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from wasabi import msg

Params = ParamSpec("Params")
Result = TypeVar("Result")
# By package, the extra of setup.cfg.
EXTRAS = {
    "torch": "torch",
    "datasets": "train",
    "huggingface_hub": "train",
    "jinja2": "train",
    "markupsafe": "train",
    "matplotlib": "train",
    "pyarrow": "train",
    "transformers": "train",
    "spacy_transformers": "bridge",
}


def naming_extras(command: Callable[Params, Result]) -> Callable[Params, Result]:
    """End a command in one sentence where a package that an extra brings is not installed.

    command (Callable): The command.
    RETURNS (Callable): The same, with its signature.
    """

    @wraps(command)
    def run(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        try:
            return command(*args, **kwargs)
        except ImportError as error:
            package = (error.name or "").partition(".")[0]
            if package not in EXTRAS and "spacy-bert-ner[" not in str(error):
                raise
            advice = f'pip install "spacy-bert-ner[{EXTRAS[package]}]"' if package in EXTRAS else None
            msg.fail(f"{package} is not installed" if advice else str(error), advice, exits=1)
            raise

    return run
