"""The queue before a model: round robin over requests, text by text, so that a long one does not delay short ones."""

import asyncio
from collections import deque
from collections.abc import Sequence

from .answers import Answer, Failure
from .service_settings import count_words


class Ticket:
    """A request in the queue.

    future (asyncio.Future): Gets the answers, one for each text.
    abandoned (bool): Whether the client no longer waits for the answers.
    """

    def __init__(self, texts: Sequence[str], future: "asyncio.Future[list[Answer | Failure]]") -> None:
        self.texts = texts
        self.words = [count_words(text) for text in texts]
        self.future = future
        self.abandoned = False
        self.answers: list[Answer | Failure | None] = [None] * len(texts)
        self.words_left = sum(self.words)
        self._next = 0
        self._open = len(texts)

    @property
    def next_words(self) -> int:
        """RETURNS (int): Words of the next text."""
        return self.words[self._next]

    def hand_out(self) -> int:
        """Take the next text out of the queue. RETURNS (int): Its index."""
        i = self._next
        self._next += 1
        self.words_left -= self.words[i]
        return i

    @property
    def is_handed_out(self) -> bool:
        """RETURNS (bool): Whether none of its texts is left in the queue."""
        return self._next == len(self.texts)

    def put(self, i: int, answer: Answer | Failure) -> bool:
        """Store a text's answer. RETURNS (bool): Whether all answers are there."""
        self.answers[i] = answer
        self._open -= 1
        return self._open == 0


class FairQueue:
    """Requests in the queue; not thread-safe.

    words (int): Words in the queue.
    """

    def __init__(self) -> None:
        self.words = 0
        self._waiting: deque[Ticket] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def words_before(self, words: int) -> int:
        """Count the words that are processed before the last one of a new request.

        words (int): The new request's. Until they are done, each request before it gets its turns for as many.
        """
        return sum(min(ticket.words_left, words) for ticket in self._waiting)

    def put(self, ticket: Ticket) -> None:
        """Add a request; it has at least one text."""
        self._waiting.append(ticket)
        self.words += ticket.words_left

    def take(self, max_words: int) -> list[tuple[Ticket, int]]:
        """Take a batch out, one text of each request in turn.

        max_words (int): Maximum words, unless the first text alone has more.
        RETURNS (list[tuple[Ticket, int]]): Requests and indices of their texts; empty where all were abandoned.
        """
        batch: list[tuple[Ticket, int]] = []
        words = 0
        while self._waiting:
            ticket = self._waiting.popleft()
            if ticket.abandoned:
                self.words -= ticket.words_left
                continue
            if batch and words + ticket.next_words > max_words:
                self._waiting.appendleft(ticket)
                break
            words += ticket.next_words
            batch.append((ticket, ticket.hand_out()))
            if not ticket.is_handed_out:
                self._waiting.append(ticket)
        self.words -= words
        return batch
