"""A model's thread: how requests come together, fail apart, are refused, and end."""

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc

from spacy_bert_ner.serving.answers import Answer, Failure, read_answer
from spacy_bert_ner.serving.batching import ModelRunner
from spacy_bert_ner.serving.error_responses import RefusalError
from spacy_bert_ner.serving.metrics import ServiceMetrics
from spacy_bert_ner.serving.service_settings import ServiceSettings
from tests.serving.services import FAULT, make_cnn, make_ruler


@contextmanager
def running(nlp: Language, **limits: Any) -> Iterator[ModelRunner]:
    runner = ModelRunner("test", lambda: nlp, ServiceSettings(**{"max_wait": 60.0, **limits}), ServiceMetrics())
    runner.start()
    yield runner
    runner.close()


def counted(runner: ModelRunner, name: str) -> float:
    return runner.metrics.registry.get_sample_value(f"bert_ner_{name}", {"model": "test"}) or 0.0


async def after(seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
    await asyncio.sleep(seconds)
    return await work


def refusals(results: list[Any]) -> list[int]:
    assert all(isinstance(result, list | RefusalError) for result in results), results
    return [result.status for result in results if isinstance(result, RefusalError)]


def gather(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    async def all_of_it() -> list[Any]:
        return await asyncio.gather(*work, return_exceptions=True)

    return asyncio.run(all_of_it())


def test_what_comes_while_the_model_is_busy_is_read_together() -> None:
    with running(make_ruler(slow=0.05)) as runner:
        results = gather(runner.annotate(["Jane"]), *(after(0.02, runner.annotate([f"Geneva {i}"])) for i in range(10)))
        assert refusals(results) == []
        assert [result[0].entities[0].label for result in results] == ["PER", *["LOC"] * 10]
        assert counted(runner, "batch_words_count") == 2
        assert counted(runner, "texts_total") == 11


def test_an_idle_model_reads_at_once() -> None:
    with running(make_ruler(), gather=5.0) as runner:
        begun = time.perf_counter()
        for _ in range(5):
            gather(runner.annotate(["Jane"]))
        assert time.perf_counter() - begun < 2
        assert counted(runner, "batch_words_count") == 5


def test_a_busy_model_waits_a_moment_for_more() -> None:
    # The second request is there when the first is done, the third comes 50 ms later.
    with running(make_ruler(slow=0.1), gather=0.5) as runner:
        more = [after(0.03, runner.annotate(["Jane"])), after(0.15, runner.annotate(["Jane"]))]
        assert refusals(gather(runner.annotate(["Jane"]), *more)) == []
        assert counted(runner, "batch_words_count") == 2


def test_a_batch_holds_no_more_words_than_it_may() -> None:
    with running(make_ruler(), max_batch_words=10) as runner:
        gather(runner.annotate(["a b c d e f"] * 5), runner.annotate(["a " * 40]))
        assert counted(runner, "batch_words_count") == 6
        assert counted(runner, "words_total") == 30 + 40


def test_a_text_that_fails_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    with running(make_ruler(slow=0.01, faulty=True)) as runner:
        texts = [f"Jane {i}" for i in range(6)]
        texts[2] = texts[5] = f"Jane {FAULT}"
        first, other, bad = gather(
            runner.annotate(texts), runner.annotate(["Geneva", "Jane"]), runner.annotate([FAULT])
        )
    assert [isinstance(answer, Failure) for answer in first] == [False, False, True, False, False, True]
    assert [answer.entities[0].label for answer in other] == ["LOC", "PER"]
    assert bad == [Failure("The pipeline fails on this text with ValueError: the service's log says where")]
    assert "fail_on_fault" in caplog.text
    assert FAULT not in caplog.text
    assert "cannot read '" not in caplog.text


def test_texts_are_logged_where_that_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with running(make_ruler(faulty=True), log_texts=True) as runner:
        gather(runner.annotate([FAULT]))
    assert f"cannot read '{FAULT}'" in caplog.text


def test_the_vocabulary_stays_as_it_is() -> None:
    nlp = make_cnn()
    with running(nlp) as runner:
        gather(runner.annotate(["Jane met IBM"]))
        before = len(nlp.vocab.strings), len(list(nlp.vocab))
        answers = gather(*(runner.annotate([f"Jane met unheard{i} near Newtown{i}", f"IBM{i}"]) for i in range(50)))
        # spaCy's len(vocab) counts what is gone, too.
        assert (len(nlp.vocab.strings), len(list(nlp.vocab))) == before
    assert refusals(answers) == []
    # Plain data, which outlives the memory zone.
    entity = answers[0][0].entities[0]
    assert (entity.start, entity.end, entity.label) == (0, 4, "PER")
    assert 0 < entity.confidence <= 1
    assert entity.runner_up.label in ("LOC", "ORG")


def test_an_error_leaves_the_vocabulary_as_it_is_too() -> None:
    nlp = make_ruler(faulty=True)
    with running(nlp) as runner:
        before = len(nlp.vocab.strings)
        for i in range(5):
            gather(runner.annotate([f"{FAULT} unheard{i}", f"word{i}"]))
        assert len(nlp.vocab.strings) == before


@settings(max_examples=25)
@given(st.lists(st.lists(st.text(max_size=40), min_size=1, max_size=4), min_size=1, max_size=6))
def test_answers_are_those_of_the_pipeline(requests: list[list[str]]) -> None:
    results = gather(*(CNN_RUNNER.annotate(texts) for texts in requests))
    for texts, answers in zip(requests, results, strict=True):
        for text, answer in zip(texts, answers, strict=True):
            alone = read_answer(ALONE(text))
            assert isinstance(answer, Answer)
            assert answer.words == alone.words
            assert [ent[:3] for ent in answer.entities] == [ent[:3] for ent in alone.entities]
            assert [ent.confidence for ent in answer.entities] == pytest.approx(
                [ent.confidence for ent in alone.entities], abs=1e-4
            )


ALONE = make_cnn()
CNN_RUNNER = ModelRunner("test", make_cnn, ServiceSettings(max_wait=60.0), ServiceMetrics())
CNN_RUNNER.start()


def test_too_much_work_before_a_request_is_refused() -> None:
    with running(make_ruler(slow=0.05), max_wait=0.0) as runner:
        results = gather(runner.annotate(["Jane"]), *(after(0.02, runner.annotate(["Jane"])) for _ in range(3)))
        assert refusals(results) == [503, 503, 503]
        assert int(results[1].headers["Retry-After"]) >= 1
        # It was a moment's load.
        assert refusals(gather(runner.annotate(["Jane"]))) == []


def test_a_long_request_keeps_no_short_one_waiting() -> None:
    with running(make_ruler(slow=0.01), max_batch_words=40) as runner:

        async def race() -> tuple[float, float]:
            begun = time.perf_counter()
            long = asyncio.create_task(runner.annotate(["Jane " * 20] * 60))
            await asyncio.sleep(0.05)
            await runner.annotate(["Jane"])
            short = time.perf_counter() - begun
            await long
            return short, time.perf_counter() - begun

        short, long = asyncio.run(race())
    assert short < 0.5 * long


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["word " * 101], "about 101 words, expected at most 100 words a request"),
        (["a " * 60, "b " * 60], "about 120 words, expected at most 100 words"),
        (["x" * 300], "a text of 300 characters, expected at most 200 characters a text"),
    ],
)
def test_too_long_a_request_is_refused(texts: list[str], message: str) -> None:
    nlp = make_ruler()
    nlp.max_length = 200
    with running(nlp, max_words=100) as runner:
        nlp.max_length = 200 if "x" in texts[0] else 10_000
        (refusal,) = gather(runner.annotate(texts))
        assert refusal.status == 413
        assert message in refusal.message


def test_what_takes_too_long_is_given_up() -> None:
    with running(make_ruler(slow=0.1), deadline=0.15, max_batch_words=1) as runner:
        results = gather(runner.annotate(["Jane"] * 50), runner.annotate([]))
        assert refusals(results) == [504]
        time.sleep(0.15)
        read = counted(runner, "texts_total")
        assert read < 5
        time.sleep(0.2)
        # What nobody waits for is not read.
        assert counted(runner, "texts_total") == read


def test_closing_finishes_what_is_in_the_queue() -> None:
    async def close_while_reading() -> list[Any]:
        reading = [asyncio.create_task(runner.annotate(["Jane"])) for _ in range(5)]
        await asyncio.sleep(0.02)
        await asyncio.to_thread(runner.close)
        late = asyncio.create_task(runner.annotate(["Jane"]))
        return await asyncio.gather(*reading, late, return_exceptions=True)

    with running(make_ruler(slow=0.05)) as runner:
        assert runner.is_ready
        results = asyncio.run(close_while_reading())
        assert not runner.is_ready
    assert refusals(results) == [503]
    assert [len(result) for result in results[:5]] == [1] * 5


def test_a_pipeline_that_does_not_load_says_so_where_it_is_asked_for() -> None:
    def load() -> Language:
        raise OSError("no such folder")

    with pytest.raises(OSError, match="no such folder"):
        ModelRunner("test", load, ServiceSettings(), ServiceMetrics())


def test_one_thread_loads_and_reads() -> None:
    seen = set()

    def load() -> Language:
        seen.add(threading.get_ident())
        nlp = make_ruler()
        nlp.add_pipe("thread_noter")
        return nlp

    @Language.component("thread_noter")
    def note(doc: Doc) -> Doc:
        seen.add(threading.get_ident())
        return doc

    runner = ModelRunner("test", load, ServiceSettings(), ServiceMetrics())
    assert not runner.is_ready
    runner.start()
    assert runner.is_ready
    gather(runner.annotate(["Jane"]))
    runner.close()
    assert len(seen) == 1
    assert threading.get_ident() not in seen
