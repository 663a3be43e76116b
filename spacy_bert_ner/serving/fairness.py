"""The queue before a model: requests take turns, text by text, so that a long one keeps no short one waiting."""

import asyncio
from collections import deque
from collections.abc import Sequence

from .answers import Answer, Failure
from .service_settings import count_words


class Ticket:
    """A request in the queue.

    texts (Sequence[str]): Its texts.
    future (asyncio.Future): Gets their answers.
    abandoned (bool): Whether nobody waits for the answers any more.
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
        """RETURNS (int): Words of the text that comes next."""
        return self.words[self._next]

    def hand_out(self) -> int:
        """RETURNS (int): Index of the text that comes next, which is no longer in the queue then."""
        i = self._next
        self._next += 1
        self.words_left -= self.words[i]
        return i

    @property
    def is_handed_out(self) -> bool:
        """RETURNS (bool): Whether no text of it is in the queue."""
        return self._next == len(self.texts)

    def put(self, i: int, answer: Answer | Failure) -> bool:
        """Note a text's answer. RETURNS (bool): Whether it was the last one that was missing."""
        self.answers[i] = answer
        self._open -= 1
        return self._open == 0


class FairQueue:
    """Requests in the queue; not for several threads at once.

    words (int): Words in the queue.
    """

    def __init__(self) -> None:
        self.words = 0
        self._waiting: deque[Ticket] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def words_before(self, words: int) -> int:
        """Say how many words will be read before a new request is.

        words (int): Its own words: by then each of the others has had its turn for as many, if it has them.
        RETURNS (int): Words.
        """
        return sum(min(ticket.words_left, words) for ticket in self._waiting)

    def put(self, ticket: Ticket) -> None:
        """Add a request; it has at least one text."""
        self._waiting.append(ticket)
        self.words += ticket.words_left

    def take(self, max_words: int) -> list[tuple[Ticket, int]]:
        """Take texts out, one of each request in turn.

        max_words (int): Words at most, unless the first text alone has more.
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
