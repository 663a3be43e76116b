"""Raw text from tokens: where tokenised corpora have lost the spaces, the usual ones are put back."""

from collections.abc import Iterable, Sequence

from spacy.tokens import Doc

from spacy_bert_ner.tags import Entity

# Written without a space before it, and without one after it.
CLOSING = frozenset([*",.;:!?)]}%”»", "\N{RIGHT SINGLE QUOTATION MARK}", "..", "...", "n't", "N'T"])
OPENING = frozenset([*"([{$£€#“«", "\N{LEFT SINGLE QUOTATION MARK}", "``"])
CLITICS = frozenset(["'s", "'m", "'d", "'re", "'ve", "'ll", "''"])
# Which of a pair it is can only be told from what came before.
QUOTES = frozenset({'"', "'"})


def space_flags(words: Sequence[str]) -> list[bool]:
    """Decide after which words a space is written: after every one, except around punctuation.

    words (Sequence[str]): Words as a tokenised corpus has them.
    RETURNS (list[bool]): For each word, whether a space follows; False for the last.
    """
    spaces = [True] * len(words)
    unclosed: set[str] = set()
    for i, word in enumerate(words):
        opens = word in OPENING
        closes = word in CLOSING or word.lower() in CLITICS
        if word in QUOTES:
            # `players ' strike`: an apostrophe, where no quotation is open.
            apostrophe = word == "'" and i > 0 and words[i - 1].lower().endswith("s")
            opens = word not in unclosed and not apostrophe
            closes = not opens
            if not apostrophe or word in unclosed:
                unclosed ^= {word}
        if closes and i:
            spaces[i - 1] = False
        if opens or word.isspace():
            spaces[i] = False
    if spaces:
        spaces[-1] = False
    return spaces


def known_or_usual_spaces(doc: Doc) -> list[bool]:
    """RETURNS (list[bool]): A document's own spaces; the usual ones where its corpus has lost them."""
    if doc.has_unknown_spaces:
        return space_flags([token.text for token in doc])
    return [bool(token.whitespace_) for token in doc]


def write_text(words: Sequence[str], spaces: Sequence[bool]) -> tuple[str, list[int]]:
    """Join words to a text. RETURNS (tuple[str, list[int]]): The text, and at which character each word starts."""
    starts, text, length = [], [], 0
    for word, space in zip(words, spaces, strict=True):
        starts.append(length)
        text.append(word + " " if space else word)
        length += len(text[-1])
    return "".join(text), starts


def to_characters(entities: Iterable[Entity], words: Sequence[str], starts: Sequence[int]) -> list[Entity]:
    """Turn entities over words into entities over the characters of `write_text`. RETURNS (list[Entity]): The same."""
    return [Entity(starts[e.start], starts[e.end - 1] + len(words[e.end - 1]), e.label) for e in entities]
