"""The stream of training batches, which a new process can fast-forward to where an earlier one was."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from spacy.training import Example

from .randomness import States, drawn_states, put_states


@dataclass
class Stream:
    """Batches of spaCy's corpora, shuffling and batchers, and what is needed to draw them again.

    Reader, shuffling and batcher may each have state, such as a schedule of batch sizes. So a new stream is
    fast-forwarded from its beginning: each batch is drawn again, with the same random state. That state is stored only
    where something else than the stream changed it in between, which is rare: training draws from NumPy's and torch's
    generators, and the stream from Python's.

    batches (Iterator[tuple[int, list[Example]]]): Epoch and batch.
    drawn (int): Batches drawn so far.
    tape (dict[int, States]): By batch, random states from before it was drawn.
    digest (int): A checksum of the texts so far.
    """

    batches: Iterator[tuple[int, list[Example]]]
    drawn: int = 0
    tape: dict[int, States] = field(default_factory=dict)
    digest: int = 0
    _expected: States = field(default_factory=dict)

    def draw(self) -> tuple[int, list[Example]] | None:
        """RETURNS (tuple[int, list[Example]] | None): Epoch and batch; None after the last one."""
        before = drawn_states()
        drawn = next(self.batches, None)
        after = drawn_states()
        for name, state in before.items():
            if after[name] != state:
                if state != self._expected.get(name):
                    self.tape.setdefault(self.drawn, {})[name] = state
                self._expected[name] = after[name]
        if drawn is not None:
            self.drawn += 1
            for example in drawn[1]:
                self.digest = zlib.crc32(example.reference.text.encode(), self.digest)
        return drawn

    def state(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): What `fast_forward` needs, for JSON."""
        return {"drawn": self.drawn, "tape": list(self.tape.items()), "digest": self.digest}

    def fast_forward(self, state: dict[str, Any]) -> bool:
        """Fast-forward a new stream.

        state (dict[str, Any]): What `state` gave in an earlier process.
        RETURNS (bool): Whether the texts were the same; they differ where a reader is not deterministic.
        """
        tape = dict(state["tape"])
        while self.drawn < state["drawn"]:
            put_states(tape.get(self.drawn, {}))
            if self.draw() is None:
                break
        return self.drawn == state["drawn"] and self.digest == state["digest"]
