"""Raw text from tokens: where tokenised corpora have lost the spaces, the usual ones are put back."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from spacy.tokens import Doc

from spacy_bert_ner.tags import Entity

from .spacing import Spacing, spacing_of


def space_flags(words: Sequence[str], lang: str = "en") -> list[bool]:
    """Decide after which words a space is written: after every one, except around punctuation.

    words (Sequence[str]): Words as a tokenised corpus has them.
    lang (str): spaCy's code of the language, whose punctuation it is.
    RETURNS (list[bool]): For each word, whether a space follows; False for the last.
    """
    spacing = spacing_of(lang)
    spaces = [spacing.has_spaces or _is_foreign(pair) for pair in pairwise([*words, ""])]
    unclosed: set[str] = set()
    for i, word in enumerate(words):
        closes, opens = _sides(word, words[i - 1] if i else "", spacing, unclosed)
        if closes and i:
            spaces[i - 1] = False
        if opens or word.isspace():
            spaces[i] = False
    if spaces:
        spaces[-1] = False
    return spaces


def _sides(word: str, before: str, spacing: Spacing, unclosed: set[str]) -> tuple[bool, bool]:
    """Say on which side of a word there is no space.

    unclosed (set[str]): Quotation marks that are open; changed.
    RETURNS (tuple[bool, bool]): Whether there is none before it, and none after it.
    """
    pairs = [pair for pair in spacing.pairs if word in pair]
    closed = next((first for first, last in pairs if last == word and first in unclosed), None)
    if closed is not None:
        unclosed.remove(closed)
        return True, False
    # `players ' strike`: an apostrophe, where no quotation is open.
    if word == "'" and before.lower().endswith("s"):
        return True, False
    if any(first == word for first, _ in pairs):
        unclosed.add(word)
        return False, True
    joins = spacing.hyphen_joins and word[:1] == "-" and word[1:2].isalpha()
    closes = joins or word in spacing.closing or word.lower() in spacing.clitics
    elided = word.endswith(spacing.elided) and word[:-1].isalpha() and word.lower() not in spacing.unelided
    return closes, elided or word in spacing.opening


def _is_foreign(pair: tuple[str, str]) -> bool:
    """Say whether two words are both of a script that has spaces, within a text of one that has none."""
    return all(word.isascii() and word.isalnum() for word in pair)


def known_or_usual_spaces(doc: Doc) -> list[bool]:
    """RETURNS (list[bool]): A document's own spaces; its language's usual ones where its corpus has lost them."""
    if doc.has_unknown_spaces:
        return space_flags([token.text for token in doc], doc.vocab.lang)
    return [bool(token.whitespace_) for token in doc]


def raw_text(doc: Doc) -> str:
    """RETURNS (str): A gold document as a user would have it."""
    return join_words([token.text for token in doc], known_or_usual_spaces(doc))[0]


def join_words(words: Sequence[str], spaces: Sequence[bool]) -> tuple[str, list[int]]:
    """Join words to a text. RETURNS (tuple[str, list[int]]): The text, and at which character each word starts."""
    starts, text, length = [], [], 0
    for word, space in zip(words, spaces, strict=True):
        starts.append(length)
        text.append(word + " " if space else word)
        length += len(text[-1])
    return "".join(text), starts


def to_characters(entities: Iterable[Entity], words: Sequence[str], starts: Sequence[int]) -> list[Entity]:
    """Turn entities over words into entities over the characters of `join_words`. RETURNS (list[Entity]): The same."""
    return [Entity(starts[e.start], starts[e.end - 1] + len(words[e.end - 1]), e.label) for e in entities]
