"""Names of models, as the command line gives them."""

import re
from collections.abc import Sequence
from pathlib import Path

from spacy.util import is_package

MODEL_NAME = re.compile(r"[\w.-]{1,100}")


def split_name(model: str) -> tuple[str, str]:
    """Split a model's name from its package or folder.

    model (str): A package, a folder, or NAME=PACKAGE or NAME=FOLDER.
    RETURNS (tuple[str, str]): The name, by default that of the package or of the folder, and the package or folder.
    RAISES: ValueError where the name cannot be part of a URL's path.
    """
    name, equals, place = model.partition("=")
    if not equals or Path(model).exists():
        name, place = Path(model).resolve().name if Path(model).exists() else model, model
    if not MODEL_NAME.fullmatch(name):
        raise ValueError(
            f"{model!r}: found the name {name!r}, expected letters, digits, '_', '-' and '.': write NAME={place}"
        )
    return name, place


def name_models(models: Sequence[str]) -> dict[str, str]:
    """RETURNS (dict[str, str]): Each model's package or folder by its name.

    models (Sequence[str]): As on the command line.
    RAISES: ValueError where two have the same name, or one does not exist.
    """
    named: dict[str, str] = {}
    for name, place in map(split_name, models):
        if name in named:
            raise ValueError(
                f"{named[name]!r} and {place!r} are both called {name!r}: write NAME={place} for one of them"
            )
        if not is_package(place) and not (Path(place) / "config.cfg").is_file():
            raise ValueError(
                f"{place!r} is neither an installed pipeline nor a pipeline's folder: pip install it, or check the path"
            )
        named[name] = place
    return named
