"""Saved pipelines that were cut short or changed: every damage is noticed at load, and said."""

import json
import pickle
import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import spacy
import srsly
from spacy.language import Language
from thinc.api import Model

from spacy_bert_ner.storage.models import CheckedModel, DamagedModelError, find_damage
from tests.scenarios import TEXTS, entities, make_pipeline, train

OWN_MODELS = ["bert_ner/model"]
FILES = [
    *OWN_MODELS,
    "bert_ner/cfg",
    "bert_ner/encoder.safetensors",
    "config.cfg",
    "meta.json",
    "tokenizer",
    "vocab/key2row",
    "vocab/lookups.bin",
    "vocab/strings.json",
    "vocab/vectors",
    "vocab/vectors.cfg",
]


@pytest.fixture(scope="module")
def trained(tiny_bert: Path) -> Language:
    nlp = make_pipeline(tiny_bert)
    train(nlp)
    return nlp


@pytest.fixture(scope="module")
def saved(trained: Language, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    trained.to_disk(folder)
    return folder


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    """A pipeline to damage."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def damaged(content: bytes, step: int) -> Iterator[bytes]:
    """Contents cut at many lengths, and with one bit changed at many places, all of both ends among them."""
    rng = random.Random(0)
    near_ends = {*range(min(len(content), 300)), *range(max(len(content) - 40, 0), len(content))}
    for length in sorted(near_ends | set(range(0, len(content), step * 5))):
        yield content[:length]
    for at in sorted(near_ends | set(range(0, len(content), step))):
        changed = bytearray(content)
        changed[at] ^= 1 << rng.randrange(8)
        yield bytes(changed)


def refused(model: Model, contents: Iterator[bytes]) -> int:
    """Load contents, all of which must be refused. RETURNS: How many there were."""
    count = 0
    for content in contents:
        with pytest.raises(
            DamagedModelError, match=r"saved model .* is damaged: .* Copy, download or install the pipeline"
        ):
            model.from_bytes(content)
        count += 1
    return count


@pytest.mark.parametrize("name", OWN_MODELS)
def test_every_cut_and_changed_bit_is_noticed(trained: Language, saved: Path, name: str) -> None:
    component: Any = trained.get_pipe(name.partition("/")[0])
    content = (saved / name).read_bytes()
    before = [entities(doc) for doc in trained.pipe(TEXTS)]
    assert refused(component.model, damaged(content, max(len(content) // 400, 1))) > 700
    # What was refused has changed nothing.
    assert [entities(doc) for doc in trained.pipe(TEXTS)] == before
    assert find_damage(content) == ""
    assert find_damage(content + b"\0") != ""


def test_the_encoder_in_a_component_is_checked_as_well(tiny_bert: Path) -> None:
    nlp = make_pipeline(tiny_bert)
    component: Any = nlp.get_pipe("bert_ner")
    content = component.model.to_bytes()
    assert len(content) > 100_000
    assert refused(component.model, damaged(content, 5000)) > 300
    component.model.from_bytes(content)


def test_models_from_before_the_checksum_are_loaded(trained: Language) -> None:
    component: Any = trained.get_pipe("bert_ner")
    plain = Model.to_bytes(component.model)
    before = [entities(doc) for doc in trained.pipe(TEXTS)]
    component.model.from_bytes(plain)
    assert [entities(doc) for doc in trained.pipe(TEXTS)] == before
    for length in (0, 1, len(plain) // 2, len(plain) - 1):
        with pytest.raises(DamagedModelError, match="is damaged"):
            component.model.from_bytes(plain[:length])
    # And what is written now is still what thinc reads.
    signed = srsly.msgpack_loads(component.model.to_bytes())
    assert signed.keys() - srsly.msgpack_loads(plain).keys() == {"crc32"}


def test_checked_models_are_models(trained: Language) -> None:
    component: Any = trained.get_pipe("bert_ner")
    assert isinstance(component.model, CheckedModel)
    copied = pickle.loads(pickle.dumps(component.model))
    assert isinstance(copied, CheckedModel)
    assert copied.to_bytes() == component.model.to_bytes()


CUTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("name", FILES)
def test_no_pipeline_loads_with_a_file_cut_short(model: Path, name: str, cut: Callable[[bytes], bytes]) -> None:
    (model / name).write_bytes(cut((model / name).read_bytes()))
    with pytest.raises((ValueError, EOFError)):
        spacy.load(model)


@pytest.mark.parametrize("name", ["bert_ner/model", "bert_ner/cfg", "config.cfg", "tokenizer"])
def test_no_pipeline_loads_without_a_file(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(OSError, match=name):
        spacy.load(model)


def test_a_state_that_is_no_json_is_named(model: Path) -> None:
    path = model / "bert_ner" / "cfg"
    content = path.read_bytes()
    for length in range(0, content.rindex(b"}"), 7):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedModelError, match=rf"{path} is damaged: no JSON .* Copy, download or install"):
            spacy.blank("en").add_pipe("bert_ner").from_disk(model / "bert_ner")  # type: ignore[attr-defined]


STATES: dict[str, dict[str, Any]] = {
    "labels = 'PER'": {"labels": "PER"},
    "labels = None": {"labels": None},
    "labels = ['PER', 1]": {"labels": ["PER", 1]},
    "labels = ['PER', '']": {"labels": ["PER", ""]},
    "labels = ['PER', 'PER', 'LOC']": {"labels": ["PER", "PER", "LOC"]},
    "temperature = 0": {"temperature": 0},
    "temperature = -1.5": {"temperature": -1.5},
    "temperature = None": {"temperature": None},
    "temperature = 'x'": {"temperature": "x"},
    "offsets = []": {"offsets": []},
    "offsets = {'DATE': 1.0}": {"offsets": {"DATE": 1.0}},
    "offsets = {'PER': 'x'}": {"offsets": {"PER": "x"}},
    "7 outputs, but scheme 'BIO' with the labels PER, LOC has 5 tags": {"labels": ["PER", "LOC"]},
    "7 outputs, but scheme 'BIO' with the labels PER, LOC, ORG, X has 9 tags": {"labels": ["PER", "LOC", "ORG", "X"]},
}


@pytest.mark.parametrize(("message", "state"), STATES.items(), ids=STATES)
def test_a_state_that_contradicts_itself_or_the_head(model: Path, message: str, state: dict[str, Any]) -> None:
    path = model / "bert_ner" / "cfg"
    path.write_text(json.dumps({**json.loads(path.read_text()), **state}))
    with pytest.raises(ValueError, match=re.escape(message)):
        spacy.load(model)


def test_a_config_that_contradicts_the_saved_encoder(model: Path) -> None:
    with pytest.raises(ValueError, match=r"window = 600 does not suit the saved encoder: .* at most 512"):
        spacy.load(model, config={"components.bert_ner.model.tok2vec.window": 600})
    with pytest.raises(ValueError, match=r"Set \[components.bert_ner\] scheme"):
        spacy.load(model, config={"components.bert_ner.scheme": "BILUO"})
