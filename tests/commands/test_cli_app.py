"""The commands as a whole: what they are called, what their options are called, what asking for help costs."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from click import Command
from typer.main import get_command

import spacy_bert_ner
from spacy_bert_ner.commands.cli_app import COMMANDS, bert_ner_cli
from tests.commands.tiny import invoke

GROUP: Any = get_command(bert_ner_cli)
NAMES = list(COMMANDS)
SEPARATOR = "=== next ==="
# Several commands of `python -m`, one after another, in one process, most of whose time are its imports.
SEVERAL = f"""
import runpy, sys
for line in sys.argv[1:]:
    module, *arguments = line.split()
    sys.argv = [module, *arguments]
    print(end={SEPARATOR!r})
    try:
        runpy.run_module(module, run_name="__main__")
    except SystemExit as ended:
        assert not ended.code
"""
# What they may import before they run.
LIGHT = ("spacy_bert_ner", "typer", "wasabi", "click")


def command(name: str) -> Command:
    return GROUP.commands[name]


def test_every_step_is_a_command() -> None:
    steps = (
        "fetch convert init-config debug train distill learning-curve audit calibrate quantize evaluate export package "
        "verify upgrade annotate suggest serve"
    )
    assert steps.split() == NAMES


@pytest.mark.parametrize("package", ["spacy_bert_ner", "spacy bert-ner"])
def test_both_entries_know_them(package: str) -> None:
    asked = ("--help", "--version", "evaluate --help")
    command = [sys.executable, "-c", SEVERAL, *(f"{package} {arguments}" for arguments in asked)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    everything, version, evaluate = printed.split(SEPARATOR)[1:]
    assert [name for name in NAMES if f"\n  {name} " not in everything] == []
    assert f"Usage: python -m {package} " in everything
    assert version == f"{spacy_bert_ner.__version__}\n"
    assert "--compare" in evaluate


def test_help_imports_neither_spacy_nor_torch() -> None:
    code = "import sys; import spacy_bert_ner.commands.cli_app; print(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"spacy", "thinc", "torch", "numpy", "transformers", "rich", "fastapi", "pyarrow", "weasel"}
    assert {name.partition(".")[0] for name in modules} & heavy == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself(name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    undescribed = [each.name for each in command(name).params if not getattr(each, "help", None)]
    assert undescribed == []


def options(name: str) -> list[Any]:
    return [each for each in command(name).params if each.param_type_name == "option"]


def test_the_same_thing_has_the_same_name_everywhere() -> None:
    forms: dict[str, set[tuple[str, ...]]] = {}
    for name in NAMES:
        for option in options(name):
            for opt in option.opts:
                forms.setdefault(opt, set()).add(tuple(sorted(option.opts)))
    # As with spaCy's own: --n-process and --name.
    assert forms.pop("-n") == {("--workers", "-n"), ("--name", "-n")}
    assert {opt: ways for opt, ways in forms.items() if len(ways) > 1} == {}


def walk_options(group: Any) -> Iterator[Any]:
    for each in group.commands.values():
        # Ours is among theirs where it has been imported.
        if each.name == "bert-ner":
            continue
        yield from walk_options(each) if hasattr(each, "commands") else each.params


# What none of spaCy's commands has, by letters that mean other things there.
OWN = {"--dev", "--encoder", "--format", "--map", "--port", "--report", "--source", "--train", "--workers"}


def test_short_options_mean_what_they_mean_to_spacy() -> None:
    spacy_app: Any = get_command(import_module("spacy.cli._util").app)
    known: dict[str, set[str]] = {}
    for option in walk_options(spacy_app):
        for opt in option.opts:
            known.setdefault(opt, set()).update(option.opts)
    ours = {(opt, tuple(option.opts)) for name in NAMES for option in options(name) for opt in option.opts}
    short = {opt: opts for opt, opts in ours if not opt.startswith("--") and opt in known and not OWN & set(opts)}
    assert {opt: opts for opt, opts in short.items() if not known[opt] & set(opts) - {opt}} == {}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_comes_before_what_is_written(name: str) -> None:
    written = {"output", "new"}
    places = [each.name in written for each in command(name).params if each.param_type_name == "argument"]
    assert places == sorted(places)
    assert sum(places) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_verbose_is_everywhere(name: str) -> None:
    assert any("--verbose" in each.opts and "-V" in each.opts for each in command(name).params)


def test_the_face_gives_what_it_names() -> None:
    assert set(spacy_bert_ner.__all__) <= set(dir(spacy_bert_ner))
    for name in spacy_bert_ner.__all__:
        assert callable(getattr(spacy_bert_ner, name))
    with pytest.raises(AttributeError, match="unheard_of"):
        spacy_bert_ner.unheard_of  # noqa: B018
