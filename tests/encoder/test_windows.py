"""Windows: every word read exactly once, where it has the most context."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spacy_bert_ner.encoder.windows import Window, assign_words, batch_windows, cut_at_random, cut_windows

Ints = npt.NDArray[np.int64]


def offsets_of(counts: list[int]) -> Ints:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def context(offsets: Ints, span: tuple[int, int], word: int) -> float:
    """Pieces between a word and its window's nearer edge; the document's own edges do not count as such."""
    left = offsets[word] - offsets[span[0]] if span[0] > 0 else np.inf
    right = offsets[span[1]] - offsets[word + 1] if span[1] < len(offsets) - 1 else np.inf
    return float(min(left, right))


def check(counts: list[int], capacity: int, overlap: int, starts: Ints | None = None) -> list[Window]:
    """Cut a document and check all that is promised of every cut."""
    offsets = offsets_of(counts)
    spans = cut_windows(offsets, capacity, overlap, starts)
    windows = assign_words(0, spans, offsets)
    check_spans(offsets, spans, capacity)
    assert [(window.start, window.end) for window in windows] == spans
    read = [word for window in windows for word in range(window.read_start, window.read_end)]
    assert read == list(range(len(counts)))
    for window in windows:
        assert window.start <= window.read_start <= window.read_end <= window.end
        for word in range(window.read_start, window.read_end):
            own = context(offsets, (window.start, window.end), word)
            assert own == max(context(offsets, span, word) for span in spans if span[0] <= word < span[1])
    return windows


def check_spans(offsets: Ints, spans: list[tuple[int, int]], capacity: int) -> None:
    words = len(offsets) - 1
    assert [(start, end) for start, end in spans if offsets[end] - offsets[start] > capacity] == []
    assert bool(spans) == bool(words)
    if spans:
        assert spans[0][0] == 0
        assert spans[-1][1] == words
    for (start, end), (next_start, next_end) in pairwise(spans):
        assert start < next_start <= end <= next_end


@pytest.mark.parametrize("capacity", [1, 2, 3, 5, 8])
def test_every_length_and_overlap_reads_each_word_once(capacity: int) -> None:
    for overlap in range(capacity):
        for words in range(30):
            windows = check([1] * words, capacity, overlap)
            for left, right in pairwise(windows):
                assert left.end - right.start >= overlap
            # As few as reach.
            assert len(windows) == (
                -(-(words - overlap) // (capacity - overlap)) if words > capacity else min(words, 1)
            )


@given(st.data(), st.integers(1, 12))
def test_words_of_every_length_are_read_once(data: st.DataObject, capacity: int) -> None:
    counts = data.draw(st.lists(st.integers(1, capacity), max_size=60))
    overlap = data.draw(st.integers(0, capacity - 1))
    starts = data.draw(st.none() | st.sets(st.integers(0, max(len(counts) - 1, 0))).map(sorted).map(np.array))
    windows = check(counts, capacity, overlap, starts)
    offsets = offsets_of(counts)
    for left, right in pairwise(windows):
        shared = offsets[left.end] - offsets[right.start]
        # Less than promised only where one word further would have been no step forward.
        assert shared >= overlap or right.start == left.start + 1


@pytest.mark.parametrize(
    ("counts", "capacity", "overlap"),
    [
        ([], 4, 2),
        ([1], 4, 2),
        ([4], 4, 2),
        ([1] * 5, 4, 3),
        ([4] * 9, 4, 3),
        ([1, 4] * 9, 4, 3),
        ([4, 1, 1, 1] * 9, 4, 2),
        ([1] * 1000, 2, 1),
    ],
    ids=str,
)
def test_awkward_documents_come_to_an_end(counts: list[int], capacity: int, overlap: int) -> None:
    assert len(check(counts, capacity, overlap)) <= max(len(counts), 1)


def test_even_windows_meet_in_the_middle() -> None:
    windows = check([1] * 32, capacity=16, overlap=8)
    assert windows == [Window(0, 0, 16, 0, 12), Window(0, 8, 24, 12, 20), Window(0, 16, 32, 20, 32)]


@given(st.integers(17, 400), st.integers(0, 15))
def test_windows_share_no_more_than_they_must(words: int, overlap: int) -> None:
    windows = check([1] * words, 16, overlap)
    shared = [left.end - right.start for left, right in pairwise(windows)]
    # An even spread leaves a remainder of at most one piece a window.
    assert sum(shared) == overlap * len(shared)
    assert max(w.end - w.start for w in windows) - min(w.end - w.start for w in windows) <= 1


def test_a_word_across_the_middle_is_read_where_more_of_it_lies() -> None:
    # Both windows hold the words 2 to 4, of 1, 3 and 2 pieces: 6 pieces, whose middle is the fourth one's left edge.
    offsets = offsets_of([2, 2, 1, 3, 2, 2, 2])
    windows = assign_words(0, [(0, 5), (2, 7)], offsets)
    assert windows == [Window(0, 0, 5, 0, 4), Window(0, 2, 7, 4, 7)]
    windows = assign_words(0, [(0, 5), (2, 7)], offsets_of([2, 2, 2, 3, 1, 2, 2]))
    assert windows == [Window(0, 0, 5, 0, 3), Window(0, 2, 7, 3, 7)]


def test_documents_keep_their_index_and_place() -> None:
    assert assign_words(3, [(0, 2)], offsets_of([1, 1]) + 100) == [Window(3, 0, 2, 0, 2)]
    assert assign_words(3, [], offsets_of([])) == []


def test_windows_begin_at_sentence_starts_nearby() -> None:
    words = [1] * 40
    plain = check(words, capacity=16, overlap=8)
    assert [window.start for window in plain] == [0, 8, 16, 24]
    # Half of the overlap is the most that a window moves back for a sentence.
    assert [window.start for window in check(words, 16, 8, np.array([0, 5, 14]))][:3] == [0, 5, 13]
    assert [window.start for window in check(words, 16, 8, np.array([0, 3]))] == [0, 8, 16, 24]
    assert [window.start for window in check(words, 16, 8, np.array([0, 6, 14, 22, 30]))] == [0, 6, 14, 22, 30]
    assert [window.start for window in check(words, 16, 8, np.array([], dtype=int))] == [0, 8, 16, 24]


@given(st.data(), st.integers(1, 12), st.integers(0, 99))
def test_random_cuts_hold_each_word_once(data: st.DataObject, capacity: int, seed: int) -> None:
    offsets = offsets_of(data.draw(st.lists(st.integers(1, capacity), max_size=60)))
    spans = cut_at_random(offsets, capacity, np.random.RandomState(seed))
    check_spans(offsets, spans, capacity)
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]


def test_random_cuts_move() -> None:
    offsets = offsets_of([1] * 100)
    rng = np.random.RandomState(0)
    seen = {tuple(cut_at_random(offsets, 16, rng)) for _ in range(200)}
    assert {spans[0][1] for spans in seen} == set(range(8, 17))
    assert {tuple(cut_at_random(offsets_of([1] * 16), 16, rng)) for _ in range(20)} == {((0, 16),)}


@given(st.lists(st.integers(1, 40), max_size=50), st.integers(1, 100))
@example([], 10)
@example([50], 10)
def test_batches_hold_each_window_once_within_the_budget(lengths: list[int], most: int) -> None:
    grouped = batch_windows(lengths, most)
    assert sorted(i for group in grouped for i in group) == list(range(len(lengths)))
    for group in grouped:
        longest = max(lengths[i] for i in group)
        assert lengths[group[0]] == longest
        assert longest * len(group) <= most or len(group) == 1
