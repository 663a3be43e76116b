"""README and docs/: every block of code runs, every message that they quote is there, every link leads somewhere."""

import configparser
import contextlib
import gc
import io
import re
import runpy
import shlex
import shutil
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import spacy
import srsly
import thinc.util
import tokenizers
from spacy.cli._util import app
from spacy.language import Language
from spacy.schemas import ConfigSchemaInit, ConfigSchemaTraining
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.util import load_model_from_config, registry
from thinc.api import Config
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.commands.init_config import filled_config
from spacy_bert_ner.optimizer import build_adamw
from tests.documents import (
    GUIDES,
    MARKDOWN,
    PROJECT,
    Block,
    broken_links,
    commands,
    is_quoted_from,
    missing_paths,
    read_blocks,
    source_templates,
)

# What a document names and the tests have not: by a regular expression, what stands in for it in the working folder.
STAND_INS = {
    r"\bbert-base-uncased\b": "stand-ins/uncased",
    r"\bbert-base-chinese\b": "stand-ins/cased",
    r'(?<=")en_bert_ner_conll2003(?=")': "training/model-final",
    r'(?<=")en_core_web_sm(?=")': "stand-ins/en_core_web_sm",
    r"--gpu-id 0\b": "--gpu-id -1",
}
# What keeps a command short: arguments that the tests add.
SHORTER = {
    ("train",): ["--training.max_steps", "2", "--training.eval_frequency", "2"],
    ("bert-ner", "evaluate"): ["--resamples", "100"],
    ("find-threshold",): ["--n_trials", "2"],
    ("package",): ["--build", "none"],
}
# Commands that cannot run in the tests at all, and why.
WHEEL = "packages/wheels/en_bert_ner_conll2003-0.1.0-py3-none-any.whl"
NOT_RUN = {
    ". .venv/bin/activate": "a shell's own; `make install` makes the folder",
    "huggingface-cli login": "needs the Hub",
    f"python -m spacy huggingface-hub push {WHEEL}": "needs the Hub",
}
# Packages of others that a document tells to install.
OTHERS = {"spacy-huggingface-hub"}
# Subcommands of `bert-ner` that are described while they are written: they run from the day that they are there.
PENDING = {"debug"}
# Text files that a block may show, and whose name is in a comment above it.
DATA = {"conll", "json", "jsonl"}

# Text, and first token, token after the last and label of its entities.
ANNOTATED = [
    (
        "Angela Merkel met officials of the World Health Organization in Geneva.",
        [(0, 2, "PER"), (6, 9, "ORG"), (10, 11, "LOC")],
    ),
    ("Angela Merkel met officials in Geneva.", [(0, 2, "PER"), (5, 6, "LOC")]),
    ("Nobody met anybody there.", []),
]


def annotate(nlp: Language) -> list[Example]:
    examples = []
    for text, entities in ANNOTATED:
        gold = nlp.make_doc(text)
        gold.set_ents([spacy.tokens.Span(gold, *entity) for entity in entities])
        examples.append(Example(nlp.make_doc(text), gold))
    return examples


def train_stand_in(encoder: Path) -> Language:
    """A pipeline of the release config that knows the documents' own sentences."""
    overrides = {"paths.encoder": str(encoder), "components.transformer.model.precision": "fp32"}
    nlp = load_model_from_config(Config().from_str(filled_config(overrides)))
    examples = annotate(nlp)
    nlp.initialize(lambda: examples)
    optimizer = build_adamw(0.003)
    for _ in range(60):
        nlp.update(examples, sgd=optimizer)
    assert nlp.evaluate(annotate(nlp))["ents_f"] == 1.0
    return nlp


def make_core_pipeline() -> Language:
    """What stands in for one of spaCy's own pipelines."""
    nlp = spacy.blank("en")
    nlp.add_pipe("tagger").add_label("N")  # type: ignore[attr-defined]
    nlp.add_pipe("ner").add_label("DATE")  # type: ignore[attr-defined]
    nlp.initialize()
    return nlp


@pytest.fixture(scope="module")
def template(tiny_encoder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has before the first block: a corpus, trained pipelines, and what STAND_INS names."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(PROJECT / "corpus" / "sample", folder / "corpus" / "sample")
    shutil.copytree(tiny_encoder("bert"), folder / "stand-ins" / "uncased")
    shutil.copytree(tiny_encoder("bert-cased"), folder / "stand-ins" / "cased")
    make_core_pipeline().to_disk(folder / "stand-ins" / "en_core_web_sm")
    nlp = train_stand_in(folder / "stand-ins" / "uncased")
    (folder / "training").mkdir()
    for name in ("model-best", "model-final"):
        nlp.to_disk(folder / "training" / name)
    for split in ("train", "dev", "test"):
        gold = [example.reference for example in annotate(nlp)] * 4
        DocBin(docs=gold).to_disk(folder / "corpus" / f"{split}.spacy")
    return folder


class Reader:
    """Does what a document says, block by block, in the working folder.

    namespace (dict[str, Any]): Names that the document's Python blocks have set.
    printed (str): What the last block printed.
    """

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.printed = ""

    def read(self, block: Block) -> None:
        text = block.text
        for name, stand_in in STAND_INS.items():
            text = re.sub(name, stand_in, text)
        if block.language == "python":
            self.run_python(text, block)
        elif block.language == "bash":
            for command, original in zip(commands(text), commands(block.text), strict=True):
                run_command(command, original)
        elif block.language == "ini":
            check_config(text)
        elif block.language in DATA:
            assert block.file, f"{block.where}: a comment above must name the file, <!-- file: NAME -->"
            Path(block.file).write_text(block.text, encoding="utf8")
        elif block.language == "output":
            assert self.printed == block.text
        else:
            assert block.language == "text", f"{block.where}: a block of what?"

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
    if arguments[0] == "bert-ner" and arguments[1] in PENDING - {c.name for c in bert_ner_cli.registered_commands}:
        return
    for begun, added in SHORTER.items():
        if tuple(arguments[: len(begun)]) == begun:
            arguments = [*arguments, *added]
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


def check_install(arguments: list[str]) -> None:
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg", encoding="utf8")
    variables = srsly.read_yaml(PROJECT / "project.yml")["vars"]
    known = {".", *(f".[{extra}]" for extra in setup["options.extras_require"]), *OTHERS}
    if arguments[:2] == ["--find-links", "packages/wheels"]:
        known = {f"en_{variables['name']}"}
        arguments = arguments[2:]
    assert set(arguments) <= known


def check_project(step: str, arguments: list[str]) -> None:
    project = srsly.read_yaml(PROJECT / "project.yml")
    assert step in {*project["workflows"], *(command["name"] for command in project["commands"]), "STEP"}
    variables = [argument.removeprefix("--vars.") for argument in arguments if argument.startswith("--vars.")]
    assert set(variables) <= set(project["vars"])


@cache
def release_config() -> str:
    return filled_config({"paths.encoder": "stand-ins/uncased"})


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


# spaCy leaves its templates' files to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_every_block_runs(path: Path, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    (tmp_path / "packages").mkdir()
    monkeypatch.chdir(tmp_path)
    reader = Reader()
    for block in read_blocks(path):
        try:
            reader.read(block)
        except Exception as error:
            error.add_note(f"in {block.where}")
            raise
    gc.collect()


def test_every_output_follows_the_block_that_prints_it() -> None:
    for path in GUIDES:
        for before, block in pairwise(read_blocks(path)):
            assert block.language != "output" or before.language == "python", block.where


@pytest.mark.parametrize(
    "command",
    [
        "unheard-of command",
        "make unheard-of",
        'pip install ".[unheard-of]"',
        "pip install unheard-of",
        "python -m spacy project run unheard-of",
        "python -m spacy project run all . --vars.unheard-of 1",
        "python -m spacy bert-ner unheard-of",
        "python -m spacy bert-ner init-config config.cfg --unheard-of 1",
    ],
)
def test_a_wrong_command_is_found_out(command: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run_command(command, command)


@pytest.mark.parametrize(
    "config", ["[components.bert_ner]\nunheard_of = 1", '[training]\nfrozen_components = ["tagger"]']
)
def test_a_wrong_config_is_found_out(config: str) -> None:
    with pytest.raises((ValueError, AssertionError)):
        check_config(config)


@pytest.fixture(scope="module")
def templates() -> list[str]:
    """Every message of the plugin's, of spaCy and thinc, and what the tokenizers library writes to the console."""
    ours = source_templates(*(PROJECT / "spacy_bert_ner").rglob("*.py"))
    theirs = source_templates(Path(spacy.errors.__file__), Path(thinc.util.__file__))
    return [*ours, *theirs, *native_strings(tokenizers)]


def native_strings(module: Any) -> list[str]:
    """RETURNS (list[str]): Long runs of printable characters in a module's compiled part."""
    (library,) = Path(module.__file__).parent.glob("*.so")
    return [run.decode() for run in re.findall(rb"[ -~\n]{60,}", library.read_bytes())]


@pytest.mark.parametrize(
    "block",
    [block for path in GUIDES for block in read_blocks(path) if block.language == "text"],
    ids=lambda block: block.where,
)
def test_every_quoted_message_is_there(block: Block, templates: list[str]) -> None:
    assert is_quoted_from(block.text, templates), block.text


def test_a_message_that_is_not_there_is_found_out(templates: list[str]) -> None:
    assert is_quoted_from("[components.…] threshold = … must lie between 0 and 1", templates)
    assert not is_quoted_from("[components.…] threshold = … must lie between 0 and 2", templates)
    assert not is_quoted_from("[components.…] threshold must lie between 0 and 1", templates)


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_lead_somewhere(path: Path) -> None:
    assert broken_links(path) == []
    assert missing_paths(path) == []


def test_readme_leads_to_every_guide() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf8")
    assert [path.name for path in GUIDES[1:] if f"(docs/{path.name})" not in readme] == []


def test_pictures_are_what_the_sources_compute() -> None:
    script = runpy.run_path(str(PROJECT / "scripts" / "draw_pictures.py"))
    written = {path.name: path.read_text(encoding="utf8") for path in (PROJECT / "docs").glob("*.svg")}
    assert written == {name: draw() for name, draw in script["PICTURES"].items()}, "run python scripts/draw_pictures.py"


def test_settings_are_what_the_sources_say() -> None:
    script = runpy.run_path(str(PROJECT / "scripts" / "document_settings.py"))
    written = (PROJECT / "docs" / "settings.md").read_text(encoding="utf8")
    assert written == script["document_settings"](), "run python scripts/document_settings.py"
