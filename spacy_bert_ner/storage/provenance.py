"""A pipeline's provenance in its meta.json, by which a run can be repeated, or distinguished from others.

    "spacy_bert_ner": {"versions": {…}, "config_sha256": "…", "data_sha256": {"train": "…", …}, "seed": 0}

Scores are beside it in "performance", where spaCy writes them.
"""

import hashlib
import json
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.util import get_minor_version_range, split_requirement
from thinc.api import Config

from .files import sha256_of

KEY = "spacy_bert_ner"
# This package with an extra, among requirements.
EXTRA = re.compile(r"spacy-bert-ner\[([\w,-]+)\]")

# The packages that a model's behaviour depends on.
RECORDED_PACKAGES = (
    "spacy-bert-ner",
    "spacy",
    "spacy-transformers",
    "thinc",
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
)


def record(nlp: Language) -> None:
    """Record in a pipeline's meta what it is trained with, and what its package requires.

    nlp (Language): The pipeline, with the config of the training.
    """
    require(nlp.meta)
    config = Config(nlp.config)
    filled = config.interpolate()
    nlp.meta[KEY] = {
        "versions": versions(),
        "config_sha256": config_sha256(config),
        "data_sha256": data_sha256(filled),
        "seed": filled.get("training", {}).get("seed"),
    }


def require(meta: dict[str, Any], extra: str | None = None) -> None:
    """Add this package, with what prediction needs, to the requirements in a pipeline's meta.

    `spacy package` finds the package by itself, but not its extra.

    meta (dict[str, Any]): The meta; another range of this package is replaced.
    extra (str | None): The extra of setup.cfg that computes; None for the one that is named there, or else "torch".
    """
    named = [EXTRA.match(each) for each in meta.get("requirements", [])]
    extra = extra or next((found[1] for found in named if found), "torch")
    own = f"spacy-bert-ner[{extra}]{get_minor_version_range(version('spacy-bert-ner'))}"
    others = [each for each in meta.get("requirements", []) if split_requirement(each)[0] != "spacy-bert-ner"]
    meta["requirements"] = [*others, own]


def versions() -> dict[str, str]:
    """RETURNS (dict[str, str]): The versions of those of RECORDED_PACKAGES that are installed."""
    found = {}
    for package in RECORDED_PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def config_sha256(config: Config) -> str:
    """Hash a config, but for the places of its files in [paths], whose contents have their own hashes.

    config (Config): The config, variables not filled in, such as config.cfg in a pipeline's folder.
    RETURNS (str): The SHA-256 of its JSON with sorted keys, in hexadecimal digits.
    """
    placeless = {section: values for section, values in config.items() if section != "paths"}
    return hashlib.sha256(json.dumps(placeless, sort_keys=True).encode()).hexdigest()


def data_sha256(config: Config) -> dict[str, str]:
    """Hash what a config's corpora and [paths] name.

    config (Config): The config, variables filled in.
    RETURNS (dict[str, str]): By the name of the corpus or path, in hexadecimal digits: a file's SHA-256, or that of a
        folder's list of names and hashes; nothing of what is no path, such as a Hub id.
    """
    places = {
        name: corpus.get("path") for name, corpus in config.get("corpora", {}).items() if isinstance(corpus, dict)
    }
    places |= config.get("paths", {})
    found = {name: Path(place) for name, place in places.items() if isinstance(place, str) and place}
    return {name: content_sha256(path) for name, path in sorted(found.items()) if path.exists()}


def content_sha256(path: Path) -> str:
    """Hash a file, or a folder's list of names and hashes. RETURNS (str): The SHA-256, in hexadecimal digits."""
    if path.is_file():
        return sha256_of(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listing = [f"{sha256_of(file)}  {file.relative_to(path).as_posix()}\n" for file in files]
    return hashlib.sha256("".join(listing).encode()).hexdigest()
