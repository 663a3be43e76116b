"""Small runs of `annotate` that several test files make."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.util import fix_random_seed

from spacy_bert_ner.annotating import AnnotationSummary, annotate, worker
from spacy_bert_ner.annotating import orchestration as running
from spacy_bert_ner.annotating.scheduling import Event, Pool, Task
from spacy_bert_ner.annotating.worker import (
    AnnotationWorker,
    WorkerSettings,
    describe_failure,
    load_worker_pipeline,
)
from tests.annotating import trouble
from tests.scenarios import CNN, examples_of

PATTERNS = [{"label": "ORG", "pattern": "IBM"}, {"label": "LOC", "pattern": "Paris"}]
TEXTS = ["Jane met IBM in Paris.", "", "  \n ", "IBM", "Nobody there.", "Grüße aus Paris 🙂 von IBM\nund Jane"]


def make_ruler() -> Language:
    """A pipeline that finds IBM and Paris, without confidences, and is troubled by some texts."""
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns(PATTERNS)  # type: ignore[attr-defined]
    nlp.add_pipe("trouble")
    return nlp


def make_cnn() -> Language:
    """A random `bert_ner`: it finds something everywhere, with confidences."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": {"tok2vec": CNN}})
    nlp.initialize(lambda: examples_of(nlp))
    return nlp


def write_jsonl(path: Path, records: Iterable[Any]) -> Path:
    """Write JSON Lines; bytes go as they are. RETURNS (Path): The file."""
    lines = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def numbered(texts: Sequence[str]) -> list[dict[str, Any]]:
    return [{"id": i, "text": text, "meta": {"tags": ["a", i]}} for i, text in enumerate(texts)]


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def read_parts(folder: Path) -> list[dict[str, Any]]:
    """RETURNS: The documents in a folder's shards of JSON Lines, in order."""
    return [line for path in sorted(folder.glob("part-*.jsonl")) for line in read_lines(path)]


def contents(folder: Path) -> dict[str, bytes]:
    """RETURNS (dict[str, bytes]): All files of a folder, hidden ones too."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class InlinePool:
    """Workers that are no processes: they work when they are waited for, last first, and die by an exception.

    settings (WorkerSettings): What they work with.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        # The file's components are known here; a second time they would be others.
        self._settings = replace(settings, code=None)
        self._numbers = count()
        self._workers: dict[int, AnnotationWorker | None] = {}
        self._tasks: dict[int, Task] = {}
        self.started = 0

    def start(self) -> int:
        number = next(self._numbers)
        self.started += 1
        self._workers[number] = None
        return number

    def submit(self, worker: int, task: Task) -> None:
        self._tasks[worker] = task

    def wait(self) -> list[Event]:
        number = max(n for n, worker in self._workers.items() if worker is None or n in self._tasks)
        worker = self._workers[number]
        try:
            if worker is None:
                worker = self._workers[number] = AnnotationWorker(self._settings)
                return [Event(number, "ready", worker.identity)]
            method, arguments = self._tasks.pop(number)
            return [Event(number, "done", getattr(worker, method)(*arguments))]
        except trouble.DiedError:
            self.stop(number)
            return [Event(number, "died", "SIGKILL")]
        except Exception as error:
            return [Event(number, "failed", describe_failure(error))]

    def stop(self, worker: int) -> None:
        del self._workers[worker]

    def close(self) -> None:
        self._workers.clear()


PIPELINES: dict[str, Language] = {}


def load_once(settings: WorkerSettings) -> Language:
    """Load a pipeline for all workers of all runs in this process."""
    if settings.model not in PIPELINES:
        PIPELINES[settings.model] = load_worker_pipeline(settings)
    return PIPELINES[settings.model]


def raise_died() -> None:
    raise trouble.DiedError


def use_inline_pools(monkeypatch: pytest.MonkeyPatch) -> list[InlinePool]:
    """Let `annotate` need no processes. RETURNS (list[InlinePool]): The pools that it makes from now on."""
    made: list[InlinePool] = []

    def make_pool(settings: WorkerSettings, engine: str, workers: Any, ray_address: str | None) -> tuple[Pool, int]:
        made.append(InlinePool(settings))
        return made[-1], 1 if workers == "auto" else workers

    monkeypatch.setattr(running, "make_pool", make_pool)
    monkeypatch.setattr(worker, "load_worker_pipeline", load_once)
    monkeypatch.setattr(trouble, "die", raise_died)
    return made


def run(model: Path, inputs: Any, output: Path, **options: Any) -> AnnotationSummary:
    """Annotate without a word."""
    return annotate(model, inputs, output, quiet=True, **options)
