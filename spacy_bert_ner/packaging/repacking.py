"""This plugin's wheel, packed again out of its installation: who installed it from one has no sources to build from."""

import base64
import hashlib
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

DISTRIBUTION = "spacy_bert_ner"
# What installers write beside what was in the wheel.
BY_INSTALLERS = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json"}


def repack_installed(folder: Path) -> Path:
    """Pack the installed plugin into a wheel again.

    folder (Path): Where the wheel goes.
    RETURNS (Path): The wheel; the same bytes each time.
    RAISES: ValueError where the installation does not hold what was installed, as an editable one.
    """
    return repack(distribution(DISTRIBUTION), folder)


def repack(installed: Distribution, folder: Path) -> Path:
    """Pack an installed distribution of pure Python into a wheel: what its RECORD lists, and a new RECORD.

    installed (Distribution): The distribution.
    folder (Path): Where the wheel goes.
    RETURNS (Path): The wheel.
    RAISES: ValueError where files are missing, or the package itself is not among them.
    """
    name = installed.metadata["Name"].replace("-", "_")
    stem = f"{name}-{installed.version}"
    listed = [path for path in installed.files or () if ".." not in path.parts and path.suffix != ".pyc"]
    files = {path.as_posix(): Path(str(path.locate())) for path in listed if path.name not in BY_INSTALLERS}
    needed = {f"{name}/__init__.py": Path(), **files}
    missing = [posix for posix, path in needed.items() if not path.is_file()]
    if missing:
        raise ValueError(
            f"{name} is not installed as a wheel ({missing[0]} is missing): install it anew, or run this in its sources"
        )
    wheel = folder / f"{stem}-py3-none-any.whl"
    record = []
    with ZipFile(wheel, "w", ZIP_DEFLATED) as archive:
        for posix, path in sorted(files.items()):
            content = path.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{posix},sha256={digest},{len(content)}\n")
            archive.writestr(_entry(posix), content)
        of_record = f"{stem}.dist-info/RECORD"
        archive.writestr(_entry(of_record), "".join([*record, f"{of_record},,\n"]))
    return wheel


def _entry(name: str) -> ZipInfo:
    """RETURNS (ZipInfo): A plain file that anybody may read, as old as such archives begin."""
    entry = ZipInfo(name)
    entry.compress_type = ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    return entry
