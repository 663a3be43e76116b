"""The queue before a model: who is read when."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_bert_ner.serving.answers import Answer
from spacy_bert_ner.serving.fairness import FairQueue, Ticket
from spacy_bert_ner.serving.service_settings import count_words

FUTURE: Any = asyncio.Future


def ticket(*words: int) -> Ticket:
    """A request with texts of so many words."""
    return Ticket(["a " * n for n in words], FUTURE)


def taken(queue: FairQueue, limit: int, named: dict[str, Ticket]) -> list[list[str]]:
    """Empty a queue. RETURNS: Each batch, as names of requests with indices of their texts."""
    names = {id(ticket): name for name, ticket in named.items()}
    batches = []
    while batch := queue.take(limit):
        batches.append([f"{names[id(ticket)]}{i}" for ticket, i in batch])
    return batches


@pytest.mark.parametrize(
    ("requests", "limit", "expected"),
    [
        ({"a": (3,)}, 10, [["a0"]]),
        ({"a": (3, 3, 3)}, 6, [["a0", "a1"], ["a2"]]),
        ({"a": (1, 1, 1, 1), "b": (1,)}, 2, [["a0", "b0"], ["a1", "a2"], ["a3"]]),
        ({"a": (50,), "b": (1,)}, 10, [["a0"], ["b0"]]),
        ({"a": (1,), "b": (50,), "c": (1,)}, 10, [["a0"], ["b0"], ["c0"]]),
        ({"a": (5, 5), "b": (5, 5)}, 10, [["a0", "b0"], ["a1", "b1"]]),
    ],
)
def test_requests_take_turns(requests: dict[str, tuple[int, ...]], limit: int, expected: list[list[str]]) -> None:
    queue, named = FairQueue(), {name: ticket(*words) for name, words in requests.items()}
    for each in named.values():
        queue.put(each)
    assert taken(queue, limit, named) == expected


@given(st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=8), max_size=8), st.integers(1, 60))
def test_every_text_is_read_once_in_batches_of_limited_size(requests: list[list[int]], limit: int) -> None:
    queue = FairQueue()
    tickets = [ticket(*words) for words in requests]
    for each in tickets:
        queue.put(each)
    assert queue.words == sum(map(sum, requests))
    seen = []
    while batch := queue.take(limit):
        words = [ticket.words[i] for ticket, i in batch]
        assert sum(words) <= limit or len(words) == 1
        seen += [(id(ticket), i) for ticket, i in batch]
    assert sorted(seen) == sorted((id(each), i) for each in tickets for i in range(len(each.texts)))
    assert queue.words == len(queue) == 0


def test_a_short_request_waits_for_no_more_than_its_share_of_a_long_one() -> None:
    queue = FairQueue()
    queue.put(ticket(*[100] * 50))
    assert queue.words_before(30) == 30
    assert queue.words_before(90_000) == 5000


def test_abandoned_requests_are_not_read() -> None:
    queue, gone, here = FairQueue(), ticket(5, 5), ticket(5)
    queue.put(gone)
    queue.put(here)
    gone.abandoned = True
    assert [each for each, _ in queue.take(100)] == [here]
    assert queue.words == 0


def test_a_ticket_knows_its_last_answer() -> None:
    each = ticket(1, 1)
    assert not each.put(1, Answer([], 1))
    assert each.put(0, Answer([], 2))
    assert [answer.words for answer in each.answers if isinstance(answer, Answer)] == [2, 1]


@pytest.mark.parametrize(
    ("text", "words"), [("", 1), ("a", 1), ("Jane met IBM", 3), ("约翰在巴黎会见了代表", 5), ("(" * 600, 100)]
)
def test_words_are_estimated_for_texts_of_any_kind(text: str, words: int) -> None:
    assert count_words(text) == words
