"""Folders of assets: what the tests of fetching share."""

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from spacy_bert_ner.data.assets.manifest import Fetched


def make_folder(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def contents(folder: Path) -> dict[str, str]:
    """Read a folder without its manifest, after checking that the manifest describes just what is there."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["files"] == [
        {"name": name, "sha256": sha256(files[name]).hexdigest(), "size": len(files[name])} for name in sorted(files)
    ]
    return {name: content.decode("latin-1") for name, content in files.items()}


def origin(folder: Path) -> dict[str, Any]:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["files"]
    return manifest


def age(folder: Path) -> dict[str, int]:
    """Set the files' times back, so that a rewrite shows."""
    for path in folder.iterdir():
        os.utime(path, ns=(10**18, 10**18))
    return times(folder)


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def check_kept(out: Path, fetch: Callable[[], Fetched], network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that a second fetch asks for nothing and writes nothing, and that a damaged file is fetched again."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    before = age(out)
    with monkeypatch.context() as patch:
        patch.setattr(network, refuse)
        assert fetch().changed == ()
        assert times(out) == before
        name = max(contents(out))
        (out / name).write_text("damaged", encoding="utf-8")
        with pytest.raises(AssertionError, match="the network was asked"):
            fetch()
    assert fetch().changed == (name,)
    assert contents(out)[name] != "damaged"
