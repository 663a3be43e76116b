"""Character offsets in the units of other languages."""

from bisect import bisect_left


class OffsetConverter:
    """Converts offsets in Unicode characters.

    utf16 (bool): To UTF-16 code units, of which a character beyond U+FFFF has two; else offsets stay as they are.
    """

    def __init__(self, text: str, *, utf16: bool) -> None:
        two_units = utf16 and not text.isascii() and max(text) > "\uffff"
        self._long = [i for i, character in enumerate(text) if character > "\uffff"] if two_units else []

    def __call__(self, position: int) -> int:
        """RETURNS (int): The converted offset."""
        return position + bisect_left(self._long, position)
