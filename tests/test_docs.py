"""README and docs/: every block of code runs, every message that they quote is there, every link leads somewhere."""

import gc
import re
import runpy
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import spacy
import thinc.util
from spacy.language import Language
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.util import load_model_from_config
from thinc.api import Config

from spacy_bert_ner.commands.init_config import filled_config
from spacy_bert_ner.packaging import verification, wheels
from spacy_bert_ner.training.optimizer import build_adamw
from tests.documents import (
    GUIDES,
    MARKDOWN,
    PROJECT,
    Block,
    broken_links,
    is_quoted_from,
    missing_paths,
    read_blocks,
    source_templates,
)
from tests.guides import CLOSED, Reader, check_config, run_command
from tests.scenarios import make_pipeline

# Drawn by benchmarks/small_data.py.
FEW_SENTENCES = "small-data.svg"
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
    overrides = {"paths.encoder": str(encoder), "components.bert_ner.model.tok2vec.precision": "fp32", **CLOSED}
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


def find_what_is_expected(python: Path, folder: Path, package: str, texts: list[str], absent: object) -> dict[str, Any]:
    """Stands in for loading a package: the pipeline that it was made of."""
    (model,) = (Path.cwd() / "packages").glob(f"{package}-*/{package}/{package}-*")
    return {"entities": verification.entities_of(spacy.load(model), texts), "origins": {}}


@pytest.fixture(scope="module")
def template(tiny_encoder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has before the first block: a corpus, trained pipelines, and what STAND_INS names."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(PROJECT / "corpus" / "sample", folder / "corpus" / "sample")
    shutil.copytree(tiny_encoder("bert"), folder / "stand-ins" / "uncased")
    shutil.copytree(tiny_encoder("bert-cased"), folder / "stand-ins" / "cased")
    make_core_pipeline().to_disk(folder / "stand-ins" / "en_core_web_sm")
    make_pipeline(tiny_encoder("bert"), ("tagger", "bert_ner")).to_disk(folder / "my_shared_pipeline")
    shutil.copytree(PROJECT / "tests" / "fixtures" / "v0.1.0" / "model", folder / "my_old_model")
    nlp = train_stand_in(folder / "stand-ins" / "uncased")
    (folder / "training").mkdir()
    for name in ("model-best", "model-final"):
        nlp.to_disk(folder / "training" / name)
    for split in ("train", "dev", "test"):
        gold = [example.reference for example in annotate(nlp)] * 4
        DocBin(docs=gold).to_disk(folder / "corpus" / f"{split}.spacy")
    return folder


# spaCy leaves its templates' files to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.name)
def test_every_block_runs(
    path: Path,
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    build_once: Callable[[Path], Path],
    forked_workers: None,
) -> None:
    monkeypatch.setattr(wheels, "build_plugin_wheel", build_once)
    # tests/commands/test_package.py has wheels installed, of either kind of pipeline.
    monkeypatch.setattr(verification, "install", lambda *_: None)
    monkeypatch.setattr(verification, "probe", find_what_is_expected)
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    (tmp_path / "packages").mkdir()
    monkeypatch.chdir(tmp_path)
    reader = Reader()
    with reader.services:
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
        'pip install "spacy-bert-ner[train,unheard-of]"',
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
    """Every message of the plugin's, of spaCy and thinc."""
    ours = source_templates(*(PROJECT / "spacy_bert_ner").rglob("*.py"))
    theirs = source_templates(Path(spacy.errors.__file__), Path(thinc.util.__file__))
    return [*ours, *theirs]


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
    assert is_quoted_from("[@architectures = …] window = … does not suit …", templates)
    assert not is_quoted_from("[components.tok2vec.model] width = … does not suit …", templates)


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
    # That one is measured.
    del written[FEW_SENTENCES]
    assert written == {name: draw() for name, draw in script["PICTURES"].items()}, "run python scripts/draw_pictures.py"


def test_the_curves_of_few_sentences_are_those_of_their_table() -> None:
    label = ElementTree.parse(PROJECT / "docs" / FEW_SENTENCES).getroot().attrib["aria-label"]
    text = (PROJECT / "docs" / "own-data.md").read_text(encoding="utf8")
    # Sentences, and of each system the mean before its range.
    mean = r" ([\d.]+) \([^|]*\|"
    rows = re.findall(rf"^\| ([\d,]+) \|{mean}{mean}{mean}", text, re.MULTILINE)
    assert len(rows) == 5
    told = [{row[0]: row[system] for row in rows} for system in (1, 2, 3)]
    curves = [re.findall(r"([\d.]+) at (\d+(?:,\d+)?)", system) for system in label.split(";")]
    assert [{size: f1 for f1, size in curve} for curve in curves] == told


def test_settings_are_what_the_sources_say() -> None:
    script = runpy.run_path(str(PROJECT / "scripts" / "document_settings.py"))
    written = (PROJECT / "docs" / "settings.md").read_text(encoding="utf8")
    assert written == script["document_settings"](), "run python scripts/document_settings.py"
