"""The kinds of sources of files that a user may name."""

import re
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

# `name` or `org/name`, with `:config` where a data set has several configurations.
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(:[\w.-]+)?", re.ASCII)


class SourceKind(StrEnum):
    """What a source turned out to be."""

    FOLDER = "folder"
    BUILTIN = "builtin"
    HUB = "hub"


def source_kind(source: str, builtin: Collection[str]) -> SourceKind | None:
    """Tell what a source is: an existing folder wins, then a built-in name, then what looks like a Hub id.

    source (str): What the user typed.
    builtin (Collection[str]): The names that stand for something of our own.
    RETURNS (SourceKind | None): None where it can be nothing of these (an existing file, a path to nowhere).
    """
    if Path(source).is_dir():
        return SourceKind.FOLDER
    if source in builtin:
        return SourceKind.BUILTIN
    if HUB_ID.fullmatch(source) and not Path(source).exists():
        return SourceKind.HUB
    return None


def pipeline_folder(name: str) -> Path | None:
    """Find a pipeline as spaCy does.

    name (str): An installed package or a folder.
    RETURNS (Path | None): The folder that holds the pipeline, within its package where it is one; None where there is
        neither, or no pipeline in the folder.
    """
    from spacy.util import get_model_meta, get_package_path, is_package

    folder = Path(name)
    if is_package(name):
        package = get_package_path(name)
        try:
            meta = get_model_meta(package)
        except (OSError, ValueError):
            # Another kind of package.
            return None
        folder = package / f"{meta['lang']}_{meta['name']}-{meta['version']}"
    return folder if (folder / "meta.json").is_file() else None


def list_names(names: Collection[str], limit: int = 8) -> str:
    """Join names for an error message: sorted, at most `limit` of them, "nothing" where there are none."""
    shown = sorted(names)[:limit]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "") if shown else "nothing"


def how_to_convert(name: str) -> str:
    """Say how a pickle becomes safetensors, for error messages. RETURNS (str): A sentence with a command."""
    return (
        "If you trust it, convert it, and use the folder `converted` in its place: "
        f'python -c "from transformers import AutoModel, AutoTokenizer; name = {name!r}; '
        "AutoModel.from_pretrained(name, use_safetensors=False).save_pretrained('converted'); "
        "AutoTokenizer.from_pretrained(name).save_pretrained('converted')\""
    )
