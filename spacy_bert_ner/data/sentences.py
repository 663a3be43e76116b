"""A sentence as its reader found it: tokens, tags and their places."""

from dataclasses import dataclass

DOCSTART = "-DOCSTART-"


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """A sentence as it was read.

    tags (tuple[str, ...]): One tag per token, as the file spells it; `respell` checks them.
    document (str | None): Id of its document; None where the source has none.
    source (str): The file or split, for messages.
    at (int): Its row, counted from 0 as in `dataset[row]`; 0 where its tokens have lines.
    lines (tuple[int, ...]): The line of each token, counted from 1; empty where the sentence is a row.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    document: str | None
    source: str
    at: int = 0
    lines: tuple[int, ...] = ()

    def where(self, token: int) -> str:
        """RETURNS (str): A token's place, for error messages."""
        if self.lines:
            return f"{self.source}:{self.lines[token]}"
        return f"{self.source}: row {self.at}, token {token}"
