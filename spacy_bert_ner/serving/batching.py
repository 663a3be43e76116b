"""A model's own thread, which processes the texts of many requests in batches.

    event loop:  read ─► put into the queue ─┐                      ┌─► the request's future
    thread:      while idle, wait ◄──────────┴─► take a batch ─► memory zone: nlp.pipe ─► plain data

spaCy's memory zone must not be entered twice on one vocabulary, so only one thread uses a pipeline. The same thread
loads it: OpenMP keeps a pool of threads for every thread that computes, and two pools on the same cores slow each other
down.
"""

import asyncio
import logging
import math
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing

from spacy.language import Language

from .answers import Answer, Failure, read_answer
from .cores import CoreShare
from .error_responses import RefusalError
from .fairness import FairQueue, Ticket
from .metrics import ServiceMetrics
from .service_settings import ServiceSettings, count_words

_LOG = logging.getLogger("spacy_bert_ner.serving")
WARM_UP = "The quick brown fox jumps over the lazy dog near London on Monday, said Jane Smith of Acme. "
# Weight of the last batch in the moving average of the speed.
WEIGHT = 0.3


class ModelRunner:
    """Runs a model in its thread.

    name (str): The model's name.
    load (Callable[[], Language]): Loads its pipeline; called in the model's thread.
    settings (ServiceSettings): Limits.
    metrics (ServiceMetrics): Receives counts and times.
    nlp (Language): The pipeline, read-only for other threads.
    RAISES: Whatever `load` raises, and the pipeline on a text.
    """

    def __init__(
        self, name: str, load: Callable[[], Language], settings: ServiceSettings, metrics: ServiceMetrics
    ) -> None:
        self.name = name
        self.settings = settings
        self.metrics = metrics
        self._queue = FairQueue()
        self._changed = threading.Condition()
        self._in_work = 0
        self._crowded = False
        self._open = False
        self._closing = False
        loaded: Future[tuple[Language, float]] = Future()
        self._thread = threading.Thread(target=self._run, args=(load, loaded), name=f"read {name}", daemon=True)
        self._thread.start()
        self.nlp, self._speed = loaded.result()

    def start(self) -> None:
        """Start the thread, and accept requests."""
        self._open = True

    def close(self) -> None:
        """Process what is in the queue, then end the thread; new requests are refused."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def is_ready(self) -> bool:
        """RETURNS (bool): Whether a request would be accepted."""
        return self._open and self._thread.is_alive() and not self._closing

    async def annotate(self, texts: Sequence[str]) -> list[Answer | Failure]:
        """Find the entities of a request's texts, together with those of other requests.

        texts (Sequence[str]): The texts.
        RETURNS (list[Answer | Failure]): One per text; a text that fails does not affect the others.
        RAISES: RefusalError: 413 where they are too long, 503 where the queue is too long, 504 after the deadline.
        """
        if not texts:
            return []
        loop = asyncio.get_running_loop()
        ticket = Ticket(texts, loop.create_future())
        self._check_size(ticket)
        with self._changed:
            self._check_queue(ticket)
            self._queue.put(ticket)
            self._show_queue()
            self._changed.notify()
        try:
            return await asyncio.wait_for(ticket.future, self.settings.deadline)
        except TimeoutError:
            self.metrics.refusals.labels(self.name, "deadline").inc()
            raise RefusalError(
                504, f"Not done within {self.settings.deadline:g} s: send fewer texts, or again later", "deadline"
            ) from None
        finally:
            ticket.abandoned = True

    def _check_size(self, ticket: Ticket) -> None:
        """RAISES: RefusalError where a request is too long for this service or a text for its pipeline."""
        longest = max(map(len, ticket.texts))
        found, limit = f"about {ticket.words_left} words", f"{self.settings.max_words} words a request (--max-words)"
        if longest > self.nlp.max_length:
            found, limit = (
                f"a text of {longest} characters",
                f"{self.nlp.max_length} characters a text (nlp.max_length)",
            )
        elif ticket.words_left <= self.settings.max_words:
            return
        self.metrics.refusals.labels(self.name, "size").inc()
        raise RefusalError(413, f"Found {found}, expected at most {limit}: send less at once", "size")

    def _check_queue(self, ticket: Ticket) -> None:
        """RAISES: RefusalError where the request would have to wait too long, or no thread can process it."""
        if not self.is_ready:
            raise RefusalError(503, "The service is stopping: send the request again", "stopping", Retry_After="1")
        before = self._in_work + self._queue.words_before(ticket.words_left)
        if before > self._speed * self.settings.max_wait:
            seconds = math.ceil((self._in_work + self._queue.words) / self._speed)
            self.metrics.refusals.labels(self.name, "queue").inc()
            message = f"{before} words are in the queue before this request: send it again in {seconds} s"
            raise RefusalError(503, message, "queue", Retry_After=str(seconds))

    def _run(self, load: Callable[[], Language], loaded: "Future[tuple[Language, float]]") -> None:
        """Load, then process batches until the runner is closed and the queue empty."""
        with closing(CoreShare(self.settings.workers, self.settings.folder)) as cores:
            try:
                with cores.computing():
                    nlp = load()
                    loaded.set_result((nlp, self._warm_up(nlp)))
            except BaseException as error:
                loaded.set_exception(error)
                return
            while (batch := self._next_batch()) is not None:
                if batch:
                    with cores.computing():
                        self._annotate_batch(batch)

    def _next_batch(self) -> list[tuple[Ticket, int]] | None:
        """Wait for texts. RETURNS: A batch; None where there is none and the runner is closed."""
        limit = self.settings.max_batch_words
        with self._changed:
            if self._crowded:
                # Requests came while others were processed: waiting a moment makes the batch larger. An idle model
                # gains nothing by waiting.
                self._changed.wait_for(lambda: self._closing or self._queue.words >= limit, self.settings.gather)
            else:
                self._changed.wait_for(lambda: self._closing or self._queue)
            if not self._queue and self._closing:
                return None
            batch = self._queue.take(limit)
            self._in_work = sum(ticket.words[i] for ticket, i in batch)
            self._show_queue()
        return batch

    def _annotate_batch(self, batch: Sequence[tuple[Ticket, int]]) -> None:
        started = time.perf_counter()
        with self.nlp.memory_zone():
            answers = self._annotate_apart([ticket.texts[i] for ticket, i in batch])
        seconds = time.perf_counter() - started
        done = [ticket for (ticket, i), answer in zip(batch, answers, strict=True) if ticket.put(i, answer)]
        words = self._in_work
        with self._changed:
            self._in_work = 0
            # Before the answers are sent, so that requests that follow them do not count.
            self._crowded = bool(self._queue)
            # The speed of small batches says little about that of full ones.
            if words >= self.settings.max_batch_words / 2:
                self._speed += WEIGHT * (words / seconds - self._speed)
        self.metrics.count_batch(self.name, answers, seconds)
        if done:
            # All in one call, since each wakes the event loop.
            try:
                done[0].future.get_loop().call_soon_threadsafe(_deliver, done)
            except RuntimeError:
                _LOG.warning("%s: no event loop is left for %d answers", self.name, len(done))

    def _annotate_apart(self, texts: Sequence[str]) -> list[Answer | Failure]:
        """Process texts; those on which the pipeline fails are found by bisection, so that few are processed twice.

        Errors are caught within the memory zone, as they refer to what was allocated there.
        """
        try:
            return [read_answer(doc) for doc in self.nlp.pipe(texts, batch_size=len(texts))]
        except Exception as error:
            if len(texts) == 1:
                return [self._failure(error)]
        middle = len(texts) // 2
        return self._annotate_apart(texts[:middle]) + self._annotate_apart(texts[middle:])

    def _failure(self, error: Exception) -> Failure:
        """Log an error, without its message where that may quote the text. RETURNS: What to say."""
        kind = type(error).__name__
        where = "".join(traceback.format_tb(error.__traceback__))
        said = f": {error}" if self.settings.log_texts else ""
        _LOG.error("%s fails on a text: %s%s\n%s", self.name, kind, said, where)
        return Failure(f"The pipeline fails on this text with {kind}: the service's log says where")

    def _warm_up(self, nlp: Language) -> float:
        """Warm up, as first calls are slow. RETURNS (float): Words per second on a full batch."""
        text = WARM_UP * max(1, self.settings.max_batch_words // count_words(WARM_UP) // 8)
        text = text[: nlp.max_length]
        with nlp.memory_zone():
            for texts in ([text[: len(WARM_UP)]], [text] * 8):
                started = time.perf_counter()
                for _ in nlp.pipe(texts, batch_size=len(texts)):
                    pass
        return 8 * count_words(text) / (time.perf_counter() - started)

    def _show_queue(self) -> None:
        self.metrics.queue_words.labels(self.name).set(self._queue.words)
        self.metrics.queue_requests.labels(self.name).set(len(self._queue))


def _deliver(tickets: Sequence[Ticket]) -> None:
    """Set the results of the waiting requests, in the event loop."""
    for ticket in tickets:
        if not ticket.future.done():
            ticket.future.set_result([answer for answer in ticket.answers if answer is not None])
