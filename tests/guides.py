"""A reader who does what README and docs/ say, block by block, and checks what cannot be done in a test."""

import configparser
import contextlib
import io
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import srsly
from spacy.cli._util import app
from spacy.schemas import ConfigSchemaInit, ConfigSchemaTraining
from spacy.util import load_model_from_config, registry
from thinc.api import Config
from typer.testing import CliRunner

# Adds our commands to spaCy's app, as spaCy itself does by the entry point when it is started.
import spacy_bert_ner.cli  # noqa: F401
from spacy_bert_ner.commands.init_config import filled_config
from spacy_bert_ner.serving import processes as running
from spacy_bert_ner.serving.app import load_app
from spacy_bert_ner.training.plan import plan_steps
from spacy_bert_ner.training.recipes import SMALL
from tests.documents import PROJECT, Block, commands
from tests.serving.services import free_port, serving

# Where the documents' service is while they are read.
PORT = free_port()

# What a document names and the tests have not: by a regular expression, what stands in for it in the working folder,
# where the template of test_docs has put it.
STAND_INS = {
    r"\bbert-base-uncased\b": "stand-ins/uncased",
    r"\bbert-base-chinese\b": "stand-ins/cased",
    r'(?<=")en_bert_ner_conll2003(?=")': "training/model-final",
    r'(?<=")en_core_web_sm(?=")': "stand-ins/en_core_web_sm",
    r"--gpu-id 0\b": "--gpu-id -1",
    r"127\.0\.0\.1:8000\b": f"127.0.0.1:{PORT}",
}
# What keeps a command short: arguments that the tests add.
SHORTER = {
    ("train",): ["--training.max_steps", "2", "--training.eval_frequency", "2"],
    ("bert-ner", "train"): ["--training.max_steps", "2", "--training.eval_frequency", "2"],
    ("bert-ner", "distill"): ["--training.max_steps", "2", "--training.eval_frequency", "2"],
    ("bert-ner", "learning-curve"): ["--training.max_steps", "2", "--training.eval_frequency", "2"],
    ("bert-ner", "audit", "config.cfg"): ["--training.max_steps", "2", "--training.eval_frequency", "2"],
    ("bert-ner", "evaluate"): ["--resamples", "100"],
    ("find-threshold",): ["--n_trials", "2"],
    ("package",): ["--build", "none"],
}
# Commands that cannot run in the tests at all, and why.
WHEEL = "packages/wheels/en_bert_ner_conll2003-0.2.0-py3-none-any.whl"
ANNOTATE = "python -m spacy bert-ner annotate training/model-final texts.jsonl annotated"
TORCHRUN = "torchrun --nproc-per-node 2 -m spacy_bert_ner train config.cfg --output trained"
MACHINES = "--nnodes 2 --rdzv-backend c10d --rdzv-endpoint HOST:29500 --nproc-per-node"
NOT_RUN = {
    ". .venv/bin/activate": "a shell's own; `make install` makes the folder",
    "huggingface-cli login": "needs the Hub",
    f"{ANNOTATE} --engine ray --ray-address auto": "needs a Ray cluster; the tests marked `ray` start one",
    TORCHRUN: "takes long; tests/training/test_launching.py runs it",
    TORCHRUN.replace("--nproc-per-node", MACHINES): "needs two machines",
    f"python -m spacy huggingface-hub push {WHEEL}": "needs the Hub",
}
# Packages of others that a document tells to install.
OTHERS = {"spacy-huggingface-hub"}
# What the release config leaves to the sizes of encoder and corpus.
CLOSED = {**SMALL.overrides(), **plan_steps(10, 3, 6).overrides()}
# Text files that a block may show, and whose name is in a comment above it.
DATA = {"conll", "json", "jsonl"}


class Reader:
    """Does what a document says, block by block, in the working folder.

    namespace (dict[str, Any]): Names that the document's Python blocks have set.
    printed (str): What the last block printed.
    services (ExitStack): What runs until the document ends, or another service is started.
    """

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.printed = ""
        self.services = contextlib.ExitStack()

    def read(self, block: Block) -> None:
        text = block.text
        for name, stand_in in STAND_INS.items():
            text = re.sub(name, stand_in, text)
        if block.language == "python":
            self.run_python(text, block)
        elif block.language == "bash":
            for command, original in zip(commands(text), commands(block.text), strict=True):
                self.run_bash(command, original)
        elif block.language == "ini":
            check_config(text)
        elif block.language in DATA:
            assert block.file, f"{block.where}: a comment above must name the file, <!-- file: NAME -->"
            Path(block.file).write_text(block.text, encoding="utf8")
        elif block.language == "output":
            assert self.printed == block.text
        else:
            assert block.language == "text", f"{block.where}: a block of what?"

    def run_bash(self, command: str, original: str) -> None:
        match shlex.split(command):
            case ["python", "-m", "spacy", "bert-ner", "serve", *_]:
                self.serve(shlex.split(command)[3:])
            case ["curl", url, "--json", body]:
                httpx.post(url, content=body, headers={"content-type": "application/json"}).raise_for_status()
            case _:
                run_command(command, original)

    def serve(self, arguments: list[str]) -> None:
        """Start a service, in place of the one before."""
        started: list[Any] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(running, "run", lambda models, settings, *_, **__: started.extend((models, settings)))
            run_spacy(arguments)
        self.services.close()
        models, settings = started
        self.services.enter_context(serving(load_app(models, settings), settings, PORT))

    def run_python(self, text: str, block: Block) -> None:
        # Blank lines before it, so that errors name the document's own lines.
        code = compile("\n" * (block.line - 1) + text, block.path, "exec")
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            exec(code, self.namespace)
        self.printed = stdout.getvalue()


def run_command(command: str, original: str) -> None:
    """Run a command of a document, or check what can be known of it without."""
    match shlex.split(command):
        case _ if original in NOT_RUN:
            return
        case ["make", target]:
            assert re.search(rf"^{target}:", (PROJECT / "Makefile").read_text("utf8"), re.M), command
        case ["pip", "install", *arguments]:
            check_install(arguments)
        case ["python", "-m", "spacy", "project", "run", step, *arguments]:
            check_project(step, arguments)
        case ["python", "-m", "spacy", *arguments]:
            run_spacy(arguments)
        case _:
            pytest.fail(f"Nothing is known of the command {command!r}: run it, or list it in NOT_RUN")


def run_spacy(arguments: list[str]) -> None:
    for begun, added in SHORTER.items():
        if tuple(arguments[: len(begun)]) == begun:
            arguments = [*arguments, *added]
    # As `python -m spacy` does, for the commands that come by entry points.
    registry.cli.get_all()
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


def check_install(arguments: list[str]) -> None:
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg", encoding="utf8")
    variables = srsly.read_yaml(PROJECT / "project.yml")["vars"]
    known = {".", setup["metadata"]["name"], *OTHERS}
    if arguments[:2] == ["--find-links", "packages/wheels"]:
        known = {f"en_{variables['name']}"}
        arguments = arguments[2:]
    for argument in set(arguments) - {"--no-deps"}:
        name, _, extras = argument.rstrip("]").partition("[")
        assert name in known
        assert set(filter(None, extras.split(","))) <= set(setup["options.extras_require"])


def check_project(step: str, arguments: list[str]) -> None:
    project = srsly.read_yaml(PROJECT / "project.yml")
    assert step in {*project["workflows"], *(command["name"] for command in project["commands"]), "STEP"}
    variables = [argument.removeprefix("--vars.") for argument in arguments if argument.startswith("--vars.")]
    assert set(variables) <= set(project["vars"])


@cache
def release_config() -> str:
    return filled_config({"paths.encoder": "stand-ins/uncased", **CLOSED})


def check_config(text: str) -> None:
    """Build a pipeline of a config, or of a part of one put into the release config."""
    sections = re.findall(r"^\[(.+)\]$", text, re.M)
    parents = {name.rsplit(".", depth)[0] for name in sections for depth in range(1, name.count(".") + 1)}
    opened = "".join(f"[{name}]\n" for name in sorted(parents - set(sections)))
    part = Config().from_str(opened + text, interpolate=False)
    config = Config().from_str(release_config(), interpolate=False)
    for name, component in part.get("components", {}).items():
        if "source" in component:
            config["components"][name] = component
    nlp = load_model_from_config(config.merge(part), auto_fill=True)
    config = nlp.config.interpolate()
    registry.resolve(config["initialize"], schema=ConfigSchemaInit)
    training = registry.resolve(config["training"], schema=ConfigSchemaTraining)
    assert {*training["frozen_components"], *training["annotating_components"]} <= set(nlp.pipe_names)
    assert set(part.get("components", {})) <= set(nlp.pipe_names)
