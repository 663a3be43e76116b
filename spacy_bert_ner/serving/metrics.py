"""Metrics for Prometheus."""

import os
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from .answers import Answer, Failure
from .service_settings import METRICS_VARIABLE

SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 30.0)
WORDS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16384)


class ServiceMetrics:
    """The metrics of one app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry}
        every = {**own, "multiprocess_mode": "livesum"}
        model = ["model"]
        self.requests = Counter("bert_ner_requests", "Requests", ["route", "status"], **own)
        self.seconds = Histogram("bert_ner_request_seconds", "Time to the answer", ["route"], buckets=SECONDS, **own)
        self.texts = Counter("bert_ner_texts", "Texts annotated", model, **own)
        self.words = Counter("bert_ner_words", "Words annotated: the tokenizer's tokens", model, **own)
        self.failures = Counter("bert_ner_text_failures", "Texts on which the pipeline failed", model, **own)
        self.refusals = Counter("bert_ner_refusals", "Requests refused: queue, size, deadline", ["model", "why"], **own)
        self.batch_words = Histogram("bert_ner_batch_words", "Words of a batch", model, buckets=WORDS, **own)
        self.batch_seconds = Histogram("bert_ner_batch_seconds", "Time of a batch", model, buckets=SECONDS, **own)
        self.queue_words = Gauge("bert_ner_queue_words", "Words in the queue, estimated", model, **every)
        self.queue_requests = Gauge("bert_ner_queue_requests", "Requests in the queue", model, **every)

    def count_batch(self, model: str, answers: Sequence[Answer | Failure], seconds: float) -> None:
        """Count an annotated batch; `seconds` is the time that it took."""
        words = sum(answer.words for answer in answers if isinstance(answer, Answer))
        self.texts.labels(model).inc(len(answers))
        self.words.labels(model).inc(words)
        self.failures.labels(model).inc(sum(isinstance(answer, Failure) for answer in answers))
        self.batch_words.labels(model).observe(words)
        self.batch_seconds.labels(model).observe(seconds)

    def render(self) -> bytes:
        """RETURNS (bytes): The metrics of all workers in Prometheus's text format."""
        if METRICS_VARIABLE not in os.environ:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry)
