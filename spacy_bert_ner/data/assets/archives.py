"""Safe unpacking of downloaded archives: no member can leave the target folder."""

import shutil
import stat
import zlib
from collections.abc import Iterable
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from .manifest import AssetError

# Weights hardly compress, and text compresses by less than this factor.
MAX_RATIO = 100


def unpack(archive: Path, prefix: str, names: Iterable[str], folder: Path) -> dict[str, Path]:
    """Unpack some plain files of a zip archive, such as a wheel.

    prefix (str): The files' folder in the archive, with a slash at the end.
    names (Iterable[str]): The files' names there, and in the target folder.
    RETURNS (dict[str, Path]): Each file's path.
    RAISES: AssetError where a name leads out of the folder, a member is not a plain file, the files are far larger
        than the archive, or the archive is damaged.
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
            size, limit = sum(member.file_size for member in members.values()), MAX_RATIO * archive.stat().st_size
            if size > limit:
                raise AssetError(
                    f"{archive.name}: {size:,} bytes unpacked, expected at most {limit:,}, {MAX_RATIO} times its size"
                )
            for name, member in members.items():
                with packed.open(member) as source, files[name].open("wb") as target:
                    shutil.copyfileobj(source, target)
    # The standard library's errors for the parts of an archive that can be damaged.
    except (BadZipFile, EOFError, KeyError, RuntimeError, zlib.error) as error:
        raise AssetError(f"{archive.name}: {error}, expected a complete archive: fetch it again") from error
    return files
