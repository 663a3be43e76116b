"""What a user says about a corpus where its files do not."""

from dataclasses import dataclass

# By name, how tags are to be read.
TAG_FORMATS = {
    "io": "types without a prefix (PER, LOC, O): neighbours of one type are one entity",
    "iob": "by conlleval's rules, whatever the prefixes: tags that contradict each other are no error",
}


@dataclass(frozen=True)
class ReadingOptions:
    """What a user says about a corpus.

    token_column, tag_column (str): A column's number, from 1, or negative from the end; or its name, where columns
        have names. Empty: by content.
    format (str): A key of TAG_FORMATS; empty: by content.
    label (str): The type of entities whose tags name none (B, I, O).
    n_sents (int): Sentences to a document where nothing tells where documents end; 0: one, said so.
    """

    token_column: str = ""
    tag_column: str = ""
    format: str = ""
    label: str = ""
    n_sents: int = 0
