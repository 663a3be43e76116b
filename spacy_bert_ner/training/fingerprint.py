"""What makes a run the same run: its config, the content of the files that the config names, device and versions."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from spacy.util import dict_to_dot
from thinc.api import Config

from ..sources import sha256_of

PACKAGES = ("spacy-bert-ner", "spacy", "spacy-transformers", "thinc", "torch", "transformers", "numpy")
# Sections and settings of a config whose values may be paths.
READING_SECTIONS = ("corpora", "initialize")
READING_SETTINGS = ("source", "name", "path")
# Where the log goes does not change what is learnt.
IGNORED = "training.logger."

Fingerprint = dict[str, dict[str, Any]]


def take_fingerprint(config: Config, code: Path | None, use_gpu: int) -> Fingerprint:
    """Describe a run.

    config (Config): Its config, interpolated, overrides included.
    code (Path | None): Python file that is imported before.
    use_gpu (int): GPU, or -1 for the CPU.
    RETURNS (Fingerprint): For JSON.
    """
    settings = {key: value for key, value in dict_to_dot(config).items() if not key.startswith(IGNORED)}
    read = {key: Path(value) for key, value in settings.items() if isinstance(value, str) and may_be_read(key)}
    if code is not None:
        read["--code"] = code
    return {
        "setting": json.loads(json.dumps(settings)),
        "content of": {f"{path} ({key})": digest(path) for key, path in read.items() if path.exists()},
        "device": {"kind": "cpu" if use_gpu < 0 else "gpu"},
        "version of": {package: version(package) for package in PACKAGES},
    }


def may_be_read(key: str) -> bool:
    """RETURNS (bool): Whether a setting may name a file that training reads."""
    parts = key.split(".")
    return parts[0] in READING_SECTIONS or (parts[0] == "components" and parts[-1] in READING_SETTINGS)


def digest(path: Path) -> str:
    """RETURNS (str): A checksum of a file, or of all files in a folder and their names."""
    if path.is_file():
        return sha256_of(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = [f"{file.relative_to(path).as_posix()} {sha256_of(file)}\n" for file in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def differences(old: Fingerprint, new: Fingerprint) -> list[str]:
    """RETURNS (list[str]): In words, what is not the same any more."""
    found = []
    for kind, now in new.items():
        before = old[kind]
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) == now.get(key) and (key in before) == (key in now):
                continue
            if kind == "content of":
                found.append(f"{kind} {key}")
            else:
                found.append(f"{kind} {key}: {spell(before, key)} then, {spell(now, key)} now")
    return found


def spell(values: dict[str, Any], key: str) -> str:
    """RETURNS (str): A value as a config spells it."""
    return json.dumps(values[key]) if key in values else "not there"
