"""A trained pipeline as an installable wheel, and the plugin's own wheel beside it, without the network."""

import json
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .repacking import DISTRIBUTION, repack_installed

PROJECT = Path(__file__).parents[2]
# Since which setuptools needs no package beside it to build a wheel.
SETUPTOOLS = (70, 1)
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def require_setuptools() -> None:
    """Find out whether wheels can be built here. RAISES: ImportError that names setuptools where not."""
    try:
        found = version("setuptools")
    except PackageNotFoundError:
        found = "0"
    if tuple(int(part) for part in found.split(".")[:2] if part.isdecimal()) < SETUPTOOLS and not find_spec("wheel"):
        raise ImportError("Building a wheel takes setuptools 70.1", name="setuptools")


def build_model_wheel(model: Path, meta: dict[str, Any], packages: Path, wheels: Path) -> Path:
    """Build a pipeline's wheel from what `spacy package` makes.

    model (Path): Folder of the pipeline.
    meta (dict[str, Any]): Its meta, from `describe_package`.
    packages (Path): Folder for the package's sources.
    wheels (Path): Folder for the wheel, which takes the place of the package's earlier ones.
    RETURNS (Path): The wheel.
    RAISES: ValueError with what setuptools says where it fails.
    """
    from spacy.cli.package import package

    packages.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        meta_path = Path(folder) / "meta.json"
        meta_path.write_text(json.dumps(meta), encoding="utf8")
        # Silent, as it would warn that another package is missing, which takes the network.
        package(model, packages, meta_path=meta_path, create_sdist=False, force=True, silent=True)
    source = packages / f"{meta['lang']}_{meta['name']}-{meta['version']}"
    return _build_wheel(source, wheels, f"{meta['lang']}_{meta['name']}")


def build_plugin_wheel(wheels: Path) -> Path:
    """Build the plugin's own wheel: from its sources where they are, else of what is installed.

    wheels (Path): Folder for the wheel, which takes the place of earlier ones.
    RETURNS (Path): The wheel.
    RAISES: ValueError with what setuptools says where it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        if not (PROJECT / "setup.cfg").is_file():
            return _move_wheel(repack_installed(Path(folder)), wheels, DISTRIBUTION)
        # A copy: setuptools leaves a build/ folder whose stale modules would enter the next wheel.
        source = Path(folder) / "source"
        source.mkdir()
        for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(PROJECT / name, source)
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / DISTRIBUTION, source / DISTRIBUTION, ignore=ignore)
        return _build_wheel(source, wheels, DISTRIBUTION)


def _build_wheel(source: Path, wheels: Path, package: str) -> Path:
    """Build one wheel by this environment's setuptools: `python -m build`, spaCy's way, would need the network."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", BUILD, folder]
        done = subprocess.run(command, cwd=source, capture_output=True, text=True, encoding="utf8", check=False)
        if done.returncode:
            raise ValueError(f"setuptools cannot build a wheel of {source}:\n{done.stderr[-2000:]}")
        (wheel,) = Path(folder).glob("*.whl")
        return _move_wheel(wheel, wheels, package)


def _move_wheel(wheel: Path, wheels: Path, package: str) -> Path:
    """Put a wheel into its folder. Earlier ones go: pip would find them as well, and prefer those that are newer."""
    for earlier in wheels.glob(f"{package}-*.whl"):
        earlier.unlink()
    return Path(shutil.copy(wheel, wheels))
