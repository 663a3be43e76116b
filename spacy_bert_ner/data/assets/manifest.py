"""A folder of fetched files, and the manifest of their names, hashes and origin.

    {"kind": "hub", "source": "org/name", "revision": "…", "files": [{"name": "…", "sha256": "…", "size": 1}]}

A manifest has no timestamp: it changes only with its files and their origin, so that later steps can depend on it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spacy_bert_ner.storage.files import copy_file, sha256_of, write_atomically

MANIFEST = "manifest.json"


class AssetError(ValueError):
    """An asset that cannot be fetched: says what was found, what was expected and what to do."""


@dataclass(frozen=True)
class AssetOrigin:
    """The origin of an asset.

    kind (str): "folder", "builtin", "hub" or "pypi".
    source (str): The folder, name, Hub id or requirement.
    revision (str | None): The Hub's commit or the wheel's SHA-256; None where there is none or it is unknown.
    """

    kind: str
    source: str
    revision: str | None = None


@dataclass(frozen=True)
class Fetched:
    """The result of a fetch.

    changed (tuple[str, ...]): Names of the files that were written or removed; empty where all was up to date.
    """

    origin: AssetOrigin
    changed: tuple[str, ...]


def keep(origin: AssetOrigin, folder: Path) -> Fetched | None:
    """Check whether a folder already holds, undamaged, the files of an origin on the network.

    origin (AssetOrigin): Its revision is ignored.
    RETURNS (Fetched | None): With the folder's revision; None where the files have to be fetched.
    """
    manifest = _read(folder)
    files = manifest.get("files", [])
    if not files or (manifest.get("kind"), manifest.get("source")) != (origin.kind, origin.source):
        return None
    if any(_entry(folder / file["name"]) != file for file in files):
        return None
    return Fetched(AssetOrigin(origin.kind, origin.source, manifest.get("revision")), ())


def store(origin: AssetOrigin, files: Mapping[str, Path], folder: Path) -> Fetched:
    """Copy files into a folder, and remove others that an earlier manifest names.

    files (Mapping[str, Path]): The file to copy for each name.
    folder (Path): The target; files in it that no manifest names stay, unless they have one of the names.
    RAISES: AssetError where the files are in that folder already.
    """
    if any(path.parent.resolve() == folder.resolve() for path in files.values()):
        raise AssetError(f"{folder}: both where the files are and where they go, expected another folder")
    entries = [_entry(files[name]) | {"name": name} for name in sorted(files)]
    folder.mkdir(parents=True, exist_ok=True)
    stale = [name for file in _read(folder).get("files", []) if _is_plain(name := file["name"]) and name not in files]
    removed = [name for name in stale if (folder / name).is_file()]
    for name in removed:
        (folder / name).unlink()
    manifest = json.dumps({**asdict(origin), "files": entries}, indent=2, ensure_ascii=False) + "\n"
    written = []
    # The manifest first: after an interruption it names files that are missing, and the next run copies them.
    if not (folder / MANIFEST).is_file() or (folder / MANIFEST).read_bytes() != manifest.encode():
        write_atomically(folder / MANIFEST, manifest.encode())
        written.append(MANIFEST)
    for entry in entries:
        target = folder / entry["name"]
        if _entry(target) != entry:
            copy_file(files[entry["name"]], target)
            written.append(entry["name"])
    return Fetched(origin, tuple(sorted([*removed, *written])))


def _entry(path: Path) -> dict[str, Any]:
    """Describe a file as the manifest does; a missing file has size 0 and no hash."""
    if not path.is_file():
        return {"name": path.name, "sha256": "", "size": 0}
    return {"name": path.name, "sha256": sha256_of(path), "size": path.stat().st_size}


def _read(folder: Path) -> dict[str, Any]:
    """Read a folder's manifest. RETURNS (dict[str, Any]): Empty where it is missing or damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _is_plain(name: str) -> bool:
    """RETURNS (bool): Whether a name stays within its folder, which one of a manipulated manifest may not."""
    return Path(name).name == name != ".."
