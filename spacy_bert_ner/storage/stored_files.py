"""A file of a model that is read when it is needed, perhaps much later, and always checked.

The file stays open: it may be replaced or deleted meanwhile (a file that is open stays what it was), and what was
written into it in place is found out by its checksum.
"""

import os
import weakref
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from .models import ANEW, DamagedModelError

CHUNK = 1 << 20


class StoredFile:
    """A file as it was when it was saved.

    path (Path): The file.
    expected (dict[str, int]): Its "size" in bytes and "crc32", as `describe_file` gave them when it was saved.
    RAISES: DamagedModelError where the file is not there, or not what was saved.
    """

    # What the file holds, as errors call it, and what one says whose content has changed.
    holds = "a part of the pipeline"
    changed = "{path} holds something else than when the pipeline was loaded from there. Load the pipeline again"

    def __init__(self, path: Path, expected: Mapping[str, int]) -> None:
        if not path.is_file():
            raise DamagedModelError(f"{path} is missing, expected {self.holds}. {ANEW}")
        self.path = path
        self.expected = dict(expected)
        # A file that is open can be neither replaced nor deleted on Windows: there it is read at once.
        self._content = path.read_bytes() if os.name == "nt" else None
        self._handle = os.open(path, os.O_RDONLY) if self._content is None else None
        if self._handle is not None:
            weakref.finalize(self, os.close, self._handle)
        found = self._describe()
        if found != self.expected:
            raise DamagedModelError(
                f"{path} is damaged: {found['size']:,} bytes with checksum {found['crc32']:08x}, expected "
                f"{self.expected['size']:,} bytes with {self.expected['crc32']:08x}. {ANEW}"
            )

    def read(self) -> bytes:
        """RETURNS (bytes): The file. RAISES: DamagedModelError where its content has changed since it was opened."""
        content = self._content if self._content is not None else b"".join(self._chunks())
        if describe_file(content) != self.expected:
            raise DamagedModelError(self.changed.format(path=self.path))
        return content

    @property
    def in_place(self) -> bool:
        """RETURNS (bool): Whether the path still leads to the file that was opened and checked."""
        if self._handle is None:
            return False
        try:
            now, then = self.path.stat(), os.fstat(self._handle)
        except OSError:
            return False
        same = (now.st_dev, now.st_ino) == (then.st_dev, then.st_ino)
        return same and (now.st_mtime_ns, now.st_ctime_ns) == self._modified and now.st_size == self.expected["size"]

    def _describe(self) -> dict[str, int]:
        if self._handle is None:
            return describe_file(self._content or b"")
        now = os.fstat(self._handle)
        # A tool may set the one back, not the other.
        self._modified = (now.st_mtime_ns, now.st_ctime_ns)
        size = crc = 0
        for chunk in self._chunks():
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
        return {"size": size, "crc32": crc}

    def _chunks(self) -> Iterator[bytes]:
        """Read the file in pieces, by several threads at once if need be: no position is shared."""
        offset = 0
        while chunk := os.pread(self._handle or 0, CHUNK, offset):
            yield chunk
            offset += len(chunk)


def describe_file(content: bytes) -> dict[str, int]:
    """RETURNS (dict[str, int]): "size" and "crc32" of a file's content."""
    return {"size": len(content), "crc32": zlib.crc32(content)}
