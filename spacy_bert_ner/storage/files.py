"""Atomic writing of files: a reader never sees a partial one."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file beside `path` that replaces it when the block ends without an error.

    The old content stays until then, and the new content is on the disk (fsync) before it replaces that.

    path (Path): The file to write; its folder is created where it is missing.
    YIELDS (Path): The temporary file; in the same folder, since a rename is atomic within one file system only.
    RAISES: OSError where that fails; the temporary file is then removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _flush(temporary)
        # mkstemp creates files that only their owner may read; a written file follows the user's umask.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file in one step: it holds either what it held before or all of the new content (see `replacing`)."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content atomically, without holding it in memory; links are followed."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def sha256_of(path: Path) -> str:
    """Hash a file piece by piece. RETURNS (str): The SHA-256, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give a new folder that replaces `path` when the block ends without an error, and is on the disk (fsync) then.

    A folder cannot be replaced atomically: the old one is moved aside first, for a moment.

    path (Path): The folder; its parent is created where it is missing.
    YIELDS (Path): The new folder.
    RAISES: OSError where that fails; the new folder is then removed.
    """
    temporary, old = (path.with_name(f".{path.name}.{state}") for state in ("new", "old"))
    for left_behind in (temporary, old):
        if left_behind.exists():
            shutil.rmtree(left_behind)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for entry in [*temporary.rglob("*"), temporary]:
            _flush(entry)
        if path.exists():
            path.rename(old)
        temporary.rename(path)
        _flush(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder's content into an existing, empty one.

    source (Path): The folder to copy.
    target (Path): The empty folder.
    RAISES: OSError with its errno, which shutil.copytree's error would lack: whether the disk is full, for instance.
    """
    # A folder is sorted before its content.
    for entry in sorted(source.rglob("*")):
        place = target / entry.relative_to(source)
        if entry.is_dir():
            place.mkdir()
        else:
            shutil.copyfile(entry, place)


def _flush(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk."""
    # Windows opens no folders.
    if path.is_file() or os.name != "nt":
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
