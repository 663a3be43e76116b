"""Archives that came from elsewhere: what is in them cannot leave the folder that they are unpacked into."""

import shutil
import stat
import zlib
from collections.abc import Iterable
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from .manifest import AssetError

# Weights hardly shrink in an archive, and text shrinks by less than this.
MOST_TIMES = 100


def unpack(archive: Path, prefix: str, names: Iterable[str], folder: Path) -> dict[str, Path]:
    """Unpack some plain files of a zip archive, such as a wheel.

    archive (Path): The archive.
    prefix (str): Where in it the files are, with a slash at the end.
    names (Iterable[str]): Their names there, and in the folder.
    folder (Path): Where they go.
    RETURNS (dict[str, Path]): Each file's place.
    RAISES: AssetError where a name leaves the folder, where one is no plain file, where they are far larger than the
        archive, or where it is damaged.
    """
    files = {name: folder / name for name in names}
    try:
        with ZipFile(archive) as packed:
            members = {name: packed.getinfo(prefix + name) for name in files}
            for name, member in members.items():
                if Path(name).name != name or name == ".." or "\\" in name:
                    raise AssetError(f"{archive.name}: {name!r} leads out of its folder, expected a plain name")
                # A regular file's type, or none where the archive was not made on Unix.
                if member.is_dir() or stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
                    raise AssetError(f"{archive.name}: {name!r} is a link, a folder or a device, expected a plain file")
            size, most = sum(member.file_size for member in members.values()), MOST_TIMES * archive.stat().st_size
            if size > most:
                raise AssetError(
                    f"{archive.name}: {size:,} bytes unpacked, expected at most {most:,}, {MOST_TIMES} times its size"
                )
            for name, member in members.items():
                with packed.open(member) as source, files[name].open("wb") as target:
                    shutil.copyfileobj(source, target)
    # What the standard library raises for the several parts of an archive that can be damaged.
    except (BadZipFile, EOFError, KeyError, RuntimeError, zlib.error) as error:
        raise AssetError(f"{archive.name}: {error}, expected a whole archive: fetch it anew") from error
    return files
