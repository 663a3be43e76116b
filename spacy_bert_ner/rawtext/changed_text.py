"""Characters of a text whose white space a tokenizer has changed, as characters of the text that it was given."""

from collections.abc import Callable
from itertools import accumulate

# First character, and the one after the last, in one text and in the other.
Locate = Callable[[int, int], tuple[int, int]]


def locate_in(text: str, changed: str) -> Locate:
    """Find the places in a text of what a document holds.

    Tokenizers such as `Doc(vocab, words=text.split())` lose white space, and offsets in `doc.text` are then others.

    text (str): What the tokenizer was given.
    changed (str): The document's text.
    RETURNS (Locate): From a place in `changed` to the one in `text`, without white space at its ends; the same place
        where the texts are equal, or differ in more than white space.
    """
    if text == changed or "".join(text.split()) != "".join(changed.split()):
        return lambda start, end: (start, end)
    solid = [i for i, character in enumerate(text) if not character.isspace()]
    before = [0, *accumulate(not character.isspace() for character in changed)]

    def locate(start: int, end: int) -> tuple[int, int]:
        first, last = before[start], before[end]
        if first == last:
            # White space alone.
            place = solid[first] if first < len(solid) else len(text)
            return place, place
        return solid[first], solid[last - 1] + 1

    return locate
