"""Workers that die: their shards are done again, and a text that kills them is left alone."""

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spacy_bert_ner.annotating import AnnotationError
from spacy_bert_ner.annotating.records import AnnotatedShard, InputRecord, Shard
from spacy_bert_ner.annotating.scheduling import MAX_FAILED_STARTS, Event, Scheduler, Task
from spacy_bert_ner.child_processes import describe_exit
from tests.annotating.runs import TEXTS, InlinePool, contents, numbered, read_lines, read_parts, run, write_jsonl
from tests.processes import fork_workers

MANY = [f"{text} {i}" for i in range(4) for text in TEXTS]
# `trouble`, the pipelines' component, is known to this process and to those that are given its file.
CODE = Path(__file__).parent / "trouble.py"


def test_a_text_that_kills_is_left_alone(ruler: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered([*MANY, "IBM KILLS", *MANY, "KILLS Paris", *MANY]))
    summary = run(ruler, texts, tmp_path / "out", shard_size=20)
    assert (summary.documents, summary.failed) == (3 * len(MANY), 2)
    failures = read_lines(tmp_path / "out" / "failed.jsonl")
    assert [failure["record"]["text"] for failure in failures] == ["IBM KILLS", "KILLS Paris"]
    assert failures[0]["error"] == "its worker died, twice (SIGKILL): the text is quarantined"
    # Twice in a batch and twice alone, for each of both.
    assert pools[0].started == 1 + 2 * 4
    assert [each["id"] for each in read_parts(tmp_path / "out")] == [
        record["id"] for record in numbered([""] * summary.documents + [""] * 2) if record["id"] not in (24, 49)
    ]


def test_a_death_by_chance_changes_nothing(ruler: Path, tmp_path: Path, pools: list[InlinePool]) -> None:
    marker = tmp_path / "marker"
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered([*MANY, f"KILLSONCE {marker}", *MANY]))
    run(ruler, texts, tmp_path / "out", shard_size=20)
    run(ruler, texts, tmp_path / "undisturbed", shard_size=20)
    assert [pool.started for pool in pools] == [2, 1]
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


class ScriptedPool:
    """Workers that die as a test says.

    deaths (Counter[tuple[str, Any]]): By method and number of the shard, or index of the text, how often they die.
    """

    def __init__(self, deaths: dict[tuple[str, Any], int]) -> None:
        self._deaths = Counter(deaths)
        self._next = 0
        self._tasks: dict[int, Task | None] = {}
        self.done: list[tuple[str, Any]] = []

    def start(self) -> int:
        self._next += 1
        self._tasks[self._next] = None
        return self._next

    def submit(self, worker: int, task: Task) -> None:
        self._tasks[worker] = task

    def wait(self) -> list[Event]:
        return [self._step(worker) for worker in list(self._tasks)]

    def stop(self, worker: int) -> None:
        del self._tasks[worker]

    def close(self) -> None:
        self._tasks.clear()

    def _step(self, worker: int) -> Event:
        task = self._tasks[worker]
        method, key = ("load", None) if task is None else (task.method, task.arguments[0])
        if isinstance(key, InputRecord):
            key = key.place
        self.done.append((method, key))
        if self._deaths[method, key]:
            self._deaths[method, key] -= 1
            del self._tasks[worker]
            return Event(worker, "died", "SIGKILL")
        if task is None:
            return Event(worker, "ready", {})
        if method == "probe":
            return Event(worker, "done", None)
        number, records, quarantined, one_by_one = task.arguments
        failures = [{"place": records[i].place} for i in quarantined]
        return Event(worker, "done", AnnotatedShard(number, b"1" if one_by_one else b"", failures=failures))


def schedule(pool: ScriptedPool, shards: int = 4, workers: int = 2) -> dict[int, AnnotatedShard]:
    """Let a pool annotate shards of three texts. RETURNS: The shards, each once."""
    texts = [tuple(InputRecord(f"{number}{letter}", {}) for letter in "abc") for number in range(shards)]
    results = list(Scheduler(pool, iter([Shard(i, each, i) for i, each in enumerate(texts)]), workers, {}).run())
    assert sorted(shard.number for shard, _ in results) == list(range(shards))
    assert all(shard.number == annotated.number for shard, annotated in results)
    return {annotated.number: annotated for _, annotated in results}


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_deaths_are_survived(workers: int) -> None:
    deaths = {("load", None): 3, ("annotate", 0): 1, ("annotate", 2): 1, ("annotate", 3): 1}
    results = schedule(ScriptedPool(deaths), workers=workers)
    assert all(not each.failures and each.content == b"" for each in results.values())


def test_a_shard_is_probed_after_two_deaths_and_survives_chance() -> None:
    pool = ScriptedPool({("annotate", 1): 2, ("probe", "1b"): 1})
    assert schedule(pool)[1].failures == []
    probed = [key for method, key in pool.done if method == "probe"]
    assert probed == ["1a", "1b", "1b", "1c"]


def test_texts_of_a_shard_that_only_kill_together_are_done_one_by_one() -> None:
    results = schedule(ScriptedPool({("annotate", 1): 4}))
    assert results[1].content == b"1"
    assert results[1].failures == []


def test_a_shard_that_kills_whatever_is_tried() -> None:
    with pytest.raises(
        AnnotationError, match=r"Workers die \(SIGKILL\) at the shard that starts with 1a, though at none"
    ):
        schedule(ScriptedPool({("annotate", 1): 6}))


def test_workers_that_never_begin() -> None:
    with pytest.raises(AnnotationError, match=r"5 workers in a row died .* before they had loaded the model"):
        schedule(ScriptedPool({("load", None): 99}))
    assert schedule(ScriptedPool({("load", None): MAX_FAILED_STARTS - 1}), workers=1)


def test_a_worker_with_another_model_is_refused() -> None:
    scheduler = Scheduler(
        ScriptedPool({}), iter([Shard(0, (InputRecord("a", {}),), 0)]), 1, {"versions": {"spacy": "3.8"}}
    )
    with pytest.raises(AnnotationError, match=r"something else: spacy was 3\.8 and is not installed"):
        list(scheduler.run())


@pytest.mark.parametrize(
    ("code", "words"), [(-9, "SIGKILL, as where memory runs out"), (-11, "SIGSEGV"), (3, "exit code 3")]
)
def test_how_a_process_ended(code: int, words: str) -> None:
    assert describe_exit(code) == words


# --- real processes --------------------------------------------------------------------------------------------------


@pytest.fixture
def killer(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """Kills a worker a moment after it was started, as often as the test's parameter says. YIELDS: Whom it killed."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while len(killed) < request.param and not over.is_set():
            children = [child.pid for child in multiprocessing.active_children()]
            for pid in children:
                if pid is not None and pid not in killed and len(killed) < request.param:
                    killed.append(pid)
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    thread = threading.Thread(target=kill)
    thread.start()
    yield killed
    over.set()
    thread.join()


@pytest.mark.parametrize("killer", [1], indirect=True)
def test_processes_write_what_one_writes(
    ruler: Path, tmp_path: Path, killer: list[int], pools: list[InlinePool], monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    texts = write_jsonl(tmp_path / "texts.jsonl", numbered([*MANY, f"KILLSONCE {marker}", "RAISES", *MANY]))
    marker.touch()
    run(ruler, texts, tmp_path / "inline", shard_size=20, code=CODE)
    marker.unlink()
    monkeypatch.undo()
    fork_workers(monkeypatch)
    run(ruler, texts, tmp_path / "out", shard_size=20, code=CODE, workers=2)
    assert marker.exists()
    assert len(killer) == 1
    assert contents(tmp_path / "inline") == contents(tmp_path / "out")
    assert multiprocessing.active_children() == []
