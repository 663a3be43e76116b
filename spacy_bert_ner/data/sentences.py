"""A sentence as its reader found it: tokens, tags, and where they stand."""

from dataclasses import dataclass

DOCSTART = "-DOCSTART-"


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """A sentence as it was read.

    tokens (tuple[str, ...]): Its tokens.
    tags (tuple[str, ...]): One tag per token, as the file spells it; `respell` checks them.
    document (str | None): Id of its document; None where the source tells none.
    source (str): The file it stands in, or whatever else a user knows it by.
    at (int): Its row, counted from 0 as `dataset[row]` does; 0 where its tokens have lines.
    lines (tuple[int, ...]): The line of each token, counted from 1; empty where the sentence is a row.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    document: str | None
    source: str
    at: int = 0
    lines: tuple[int, ...] = ()

    def where(self, token: int) -> str:
        """Name a token's place in an error message."""
        if self.lines:
            return f"{self.source}:{self.lines[token]}"
        return f"{self.source}: row {self.at}, token {token}"
