"""The user's options for reading a corpus, for what its files do not show."""

from dataclasses import dataclass

# How tags are read, by name.
TAG_FORMATS = {
    "io": "types without a prefix (PER, LOC, O): neighbours of one type are one entity",
    "iob": "by conlleval's rules, whatever the prefixes: tags that contradict each other are no error",
}


@dataclass(frozen=True)
class ReadingOptions:
    """How to read a corpus.

    token_column, tag_column (str): A column's number, from 1, or negative from the end; or its name, where columns
        have names. Empty: by content.
    format (str): A key of TAG_FORMATS; empty: by content.
    label (str): The type of entities whose tags name none (B, I, O).
    n_sents (int): Sentences per document where nothing marks the ends of documents; 0: one, with a note.
    """

    token_column: str = ""
    tag_column: str = ""
    format: str = ""
    label: str = ""
    n_sents: int = 0
