"""Processes that tests start as copies of their own, which has imported what they need: that takes seconds anew."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, NoReturn

import pytest


class CopiedProcess(ForkProcess):
    """A copy of this process that behaves as a new one: it prints to the console, and holds no pipes of others."""

    # This process's ends of pipes. A worker ends when its is closed, and so by all who hold it.
    pipes: ClassVar[list[Connection[Any, Any]]] = []

    def run(self) -> None:
        for pipe in self.pipes:
            pipe.close()
        print_where_a_new_one_would()
        super().run()


def fork_workers(patch: pytest.MonkeyPatch) -> None:
    """Let `annotate` and `train --processes` start copies of this process; a few tests start them as users do."""
    CopiedProcess.pipes.clear()

    def make_pipe(duplex: bool = True) -> tuple[Connection[Any, Any], Connection[Any, Any]]:
        ours, theirs = multiprocessing.get_context("fork").Pipe(duplex)
        CopiedProcess.pipes.append(ours)
        return ours, theirs

    context = SimpleNamespace(Pipe=make_pipe, Process=CopiedProcess)
    for module in ("annotating.engine_local", "training.parallel.launching"):
        patch.setattr(f"spacy_bert_ner.{module}.get_context", lambda method: context)


def run_module(module: str, *arguments: str, folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Do what `python -m MODULE ARGUMENTS` does, in a copy of this process.

    folder (Path): In which.
    environment (Mapping[str, str]): Variables beside those of this process.
    RETURNS (tuple[int, str]): The exit code, and what was printed.
    """
    with tempfile.TemporaryFile("w+", encoding="utf8") as printed:
        child = os.fork()
        if not child:
            os.chdir(folder)
            os.environ.update(environment)
            for number in (1, 2):
                os.dup2(printed.fileno(), number)
            print_where_a_new_one_would()
            end_as_module([module, *arguments])
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        printed.seek(0)
        return code, printed.read()


def end_as_module(command: list[str]) -> NoReturn:
    """Run a module as the program that this process is, and end with it."""
    code = 1
    # What a test makes of warnings is nothing to a program.
    warnings.resetwarnings()
    try:
        sys.argv = command
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not through what pytest does at the end of a process.
        os._exit(code)


def print_where_a_new_one_would() -> None:
    """Let a forked process print to the descriptors, whatever stood in for them in the other."""
    sys.stdout, sys.stderr = (os.fdopen(os.dup(number), "w", buffering=1, encoding="utf8") for number in (1, 2))
