"""Several processes that train together, forked from the tests' own, which has imported everything."""

import os
import tempfile
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch.distributed as dist

from spacy_bert_ner.training.parallel.group import Group, joined

# Seconds within which processes of tiny models have ended.
DEADLINE = 120


def together(count: int, job: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Do a job in several processes that form a group; one alone does it here.

    RETURNS: What each has returned, or the exception that it has raised.
    """
    if count == 1:
        return [job(Group(), *arguments)]
    context = get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for rank in range(count):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_do, args=(theirs, Group(rank, count), folder, job, arguments))
            process.start()
            theirs.close()
            started.append((process, ours))
        results = []
        for process, pipe in started:
            assert pipe.poll(DEADLINE), "a process hangs"
            try:
                results.append(pipe.recv())
            except EOFError:
                results.append(None)
            process.join()
        return results


def _do(pipe: Any, group: Group, folder: str, job: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        store = dist.FileStore(str(Path(folder) / "store"), group.size)
        with joined(group, "gloo", store=store):
            result = job(group, *arguments)
    except BaseException as error:
        result = error
    pipe.send(result)
    pipe.close()
    # Not through what pytest does at the end of a process.
    os._exit(0)
