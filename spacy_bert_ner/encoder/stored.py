"""An encoder's weights on the disk: a plain safetensors file, read when they are needed, and always checked.

Prediction in a short dtype needs the fp32 weights once, to cast them, and then no more; training, saving and pickling
want them again, perhaps much later. So the file stays open: it may be replaced or deleted meanwhile (a file that is
open stays what it was), and what was written into it in place is found out by its checksum.
"""

import os
import weakref
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from spacy_bert_ner.storage.models import ANEW, DamagedModelError

from .pretrained_files import Shards

CHUNK = 1 << 20
CHANGED = (
    "{path} holds other weights than when the pipeline was loaded from there. They were left on the disk, as "
    "prediction needs a shorter form alone. Load the pipeline again before it is trained, saved or pickled."
)


class StoredWeights:
    """The fp32 weights of an encoder in a file.

    path (Path): The safetensors file.
    expected (dict[str, int]): Its "size" in bytes and "crc32", as `describe_file` gave them when it was saved.
    RAISES: DamagedModelError where the file is not there, or not what was saved.
    """

    def __init__(self, path: Path, expected: Mapping[str, int]) -> None:
        if not path.is_file():
            raise DamagedModelError(f"{path} is missing, expected the encoder's weights. {ANEW}")
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
            raise DamagedModelError(CHANGED.format(path=self.path))
        return content

    def tensors(self) -> Mapping[str, Tensor]:
        """RETURNS (Mapping[str, Tensor]): The weights by name, read one at a time where the file is still in place."""
        if not self._in_place():
            return load(self.read())
        try:
            return Shards([self.path])
        except (OSError, SafetensorError) as error:
            raise DamagedModelError(f"{self.path} cannot be read ({error}). {ANEW}") from error

    def _in_place(self) -> bool:
        """Say whether the path still leads to the file that was opened and checked."""
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


class HeldWeights:
    """The weights of an encoder in memory, as they were saved: what StoredWeights is to a file.

    content (bytes): safetensors.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        """RETURNS (bytes): The content."""
        return self._content

    def tensors(self) -> Mapping[str, Tensor]:
        """RETURNS (Mapping[str, Tensor]): The weights by name."""
        return load(self._content)


def describe_file(content: bytes) -> dict[str, int]:
    """RETURNS (dict[str, int]): "size" and "crc32" of a file's content."""
    return {"size": len(content), "crc32": zlib.crc32(content)}


def dump_weights(state: Mapping[str, Tensor]) -> bytes:
    """RETURNS (bytes): Parameters and buffers by name, as a module's state_dict has them, as safetensors."""
    # Tied weights are one tensor under several names, which safetensors refuses.
    return save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()})
