"""Saved models whose damage is detected: a checksum over every byte of a component's file `model`.

    thinc's msgpack   84 "nodes" … "attrs" … "params" … "shims" …                     a map of four entries
    what is written   85 "nodes" … "attrs" … "params" … "shims" … "crc32" ce 01234567  one more entry of the map

So thinc can read the file, with this plugin or without it, and files without a checksum can still be read.
"""

import zlib
from typing import Self, TypeVar

import srsly
from thinc.api import Model

InT = TypeVar("InT")
OutT = TypeVar("OutT")

# msgpack's maps of four and of five entries, and the last entry without its value: a key, and "here come four bytes".
PLAIN, SIGNED, ENTRY = b"\x84", b"\x85", b"\xa5crc32\xce"
TAIL = len(ENTRY) + 4
ANEW = "Copy, download or install the pipeline anew"


class DamagedModelError(ValueError):
    """A saved model that was changed or truncated: says what was found and what to do."""


class CheckedModel(Model[InT, OutT]):
    """A component's outermost model, checked when it is loaded.

    Takes the arguments of thinc's Model.
    """

    # As thinc's own: nothing else may be set.
    __slots__ = ()

    @classmethod
    def of(cls, model: Model[InT, OutT]) -> Self:
        """Wrap a model without own parameters and references, such as a chain."""
        return cls(model.name, model._func, init=model.init, dims=model._dims, layers=model.layers, attrs=model.attrs)

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): The model as thinc writes it, and a checksum of that."""
        plain = super().to_bytes()
        return b"".join((SIGNED, memoryview(plain)[1:], ENTRY, checksum(memoryview(plain)[1:])))

    def from_bytes(self, bytes_data: bytes) -> Self:
        """Load what `to_bytes` gave, now or before there were checksums.

        bytes_data (bytes): The bytes.
        RETURNS (CheckedModel): The model.
        RAISES: DamagedModelError where they were truncated or changed; ValueError where they belong to another model.
        """
        damage = find_damage(bytes_data)
        if damage:
            raise DamagedModelError(f"A component's saved model (its file `model`) is damaged: {damage}. {ANEW}")
        super().from_bytes(bytes_data)
        return self


def checksum(content: bytes | memoryview) -> bytes:
    """RETURNS (bytes): Four bytes, which differ for any two contents that differ in up to 32 bits in a row."""
    return zlib.crc32(content).to_bytes(4, "big")


def find_damage(content: bytes) -> str:
    """Say what is wrong with a saved model. RETURNS (str): What was found and expected; "" where nothing is wrong."""
    size = f"{len(content):,} bytes"
    if content[:1] == SIGNED:
        body, entry, found = memoryview(content)[1:-TAIL], content[-TAIL:-4], content[-4:]
        if entry != ENTRY:
            return f"{size} that do not end as expected, with a checksum, so that it was cut short"
        return "" if checksum(body) == found else f"{size} of another checksum than the one that was saved with them"
    if content[:1] != PLAIN:
        return f"{size} that are no model, expected those of a spaCy component"
    try:
        srsly.msgpack_loads(content)
    except ValueError as error:
        return f"{size} that cannot be read ({error}), expected a whole model"
    return ""
