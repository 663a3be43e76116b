"""Word-shape features for vocabularies that know no capitals.

An uncased tokenizer throws capitals away, and with them half of what tells a name from a word. The shape class of each
word and that of each of its pieces, which differ in "London-based", are embedded as one and added to the piece's input
embedding. The table starts at zero, so that an encoder with the features begins as the encoder without them.
"""

from collections.abc import Iterable
from functools import lru_cache

WORD_SHAPES = ("other", "lower", "Title", "UPPER", "U", "miXed", "digit", "d1git")
# Every shape of a word with every shape of a piece.
CLASSES = len(WORD_SHAPES) ** 2
# Characters of a word that are looked at: there is no end to what passes for one.
LONGEST = 100


@lru_cache(maxsize=1 << 16)
def word_shape(word: str) -> int:
    """Classify a word by its capitals and digits.

    word (str): A token's text.
    RETURNS (int): Index into WORD_SHAPES: "UPPER" has two or more letters and no small one, "U" is a single capital,
        "digit" has digits and no letter, "d1git" both; "Title" and "miXed" begin with and contain a capital.
    """
    letters = [c for c in word if c.isalpha()]
    if any(c.isdigit() for c in word):
        return WORD_SHAPES.index("d1git" if letters else "digit")
    if not letters:
        return WORD_SHAPES.index("other")
    capitals = sum(c.isupper() or c.istitle() for c in letters)
    if capitals == 0:
        return WORD_SHAPES.index("lower")
    if capitals == len(letters):
        return WORD_SHAPES.index("U" if len(letters) == 1 else "UPPER")
    return WORD_SHAPES.index("Title" if capitals == 1 and not letters[0].islower() else "miXed")


def piece_classes(word: str, spans: Iterable[tuple[int, int]]) -> list[int]:
    """Classify a word's pieces by their own shapes and the word's.

    word (str): A token's text.
    spans (Iterable[tuple[int, int]]): Where each piece begins and ends in it.
    RETURNS (list[int]): Below CLASSES, one per piece; of one that is nowhere in the word where there is none.
    """
    whole = len(WORD_SHAPES) * word_shape(word[:LONGEST])
    return [whole + word_shape(word[start:end][:LONGEST]) for start, end in spans] or [whole]
