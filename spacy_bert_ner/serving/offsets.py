"""Positions in a text as others count them."""

from bisect import bisect_left


class Counter:
    """Translates positions of Python's characters.

    text (str): The text.
    utf16 (bool): Whether to count UTF-16 code units, of which a character beyond U+FFFF has two; else nothing changes.
    """

    def __init__(self, text: str, *, utf16: bool) -> None:
        two_units = utf16 and not text.isascii() and max(text) > "\uffff"
        self._long = [i for i, character in enumerate(text) if character > "\uffff"] if two_units else []

    def __call__(self, position: int) -> int:
        """RETURNS (int): The position. position (int): In characters."""
        return position + bisect_left(self._long, position)
