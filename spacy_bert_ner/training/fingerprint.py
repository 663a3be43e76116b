"""The identity of a run: its config, the content of the files that the config names, device and versions."""

import json
from pathlib import Path
from typing import Any

from spacy.util import dict_to_dot
from thinc.api import Config

from spacy_bert_ner.storage.provenance import content_sha256, versions

# Sections and settings of a config whose values may be paths.
READING_SECTIONS = ("corpora", "initialize")
READING_SETTINGS = ("source", "name", "path")
# The log's place does not change the training.
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
    read = files_read(config, code)
    return {
        "setting": json.loads(json.dumps(settings)),
        "content of": {f"{path} ({key})": content_sha256(path) for key, path in read.items()},
        "device": {"kind": "cpu" if use_gpu < 0 else "gpu"},
        "version of": versions(),
    }


def files_read(config: Config, code: Path | None = None) -> dict[str, Path]:
    """Find the files and folders that training reads.

    config (Config): Its config, interpolated.
    code (Path | None): Python file that is imported before.
    RETURNS (dict[str, Path]): By setting, what is there.
    """
    texts = {key: value for key, value in dict_to_dot(config).items() if isinstance(value, str) and value}
    read = {key: Path(text) for key, text in texts.items() if may_be_read(key) and Path(text).exists()}
    return read if code is None else read | {"--code": code}


def may_be_read(key: str) -> bool:
    """RETURNS (bool): Whether a setting may name a file that training reads."""
    parts = key.split(".")
    return parts[0] in READING_SECTIONS or (parts[0] == "components" and parts[-1] in READING_SETTINGS)


def differences(old: Fingerprint, new: Fingerprint) -> list[str]:
    """RETURNS (list[str]): The differences of two fingerprints, in words."""
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
