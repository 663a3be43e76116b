"""The weights that a loaded pipeline leaves on the disk until training, saving or pickling wants them."""

import copy
import os
import shutil
import signal
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from safetensors.torch import load_file
from spacy.language import Language
from spacy.util import registry
from thinc.api import concatenate

from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.encoder.settings import EncoderSettings
from spacy_bert_ner.encoder.sharing import build_tok2vec
from spacy_bert_ner.encoder.shim import EncoderShim
from spacy_bert_ner.storage.models import DamagedModelError
from tests.scenarios import (
    TEXTS,
    WIDTH,
    encoder_block,
    entities,
    examples_of,
    expected_entities,
    make_pipeline,
    train,
)

FILE_NAME = "encoder.safetensors"
posix = pytest.mark.skipif(os.name == "nt", reason="a file that is open cannot be replaced on Windows")


@pytest.fixture(scope="module")
def folder(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained pipeline that predicts in bf16."""
    nlp = make_pipeline(tiny_bert, precision="bf16", case_features=True)
    train(nlp)
    made = tmp_path_factory.mktemp("stored") / "model"
    nlp.to_disk(made)
    return made


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "model"))


def shim_of(nlp: Language) -> EncoderShim:
    return get_shim(nlp.get_pipe("bert_ner").model.get_ref("tok2vec"))  # type: ignore[attr-defined]


def saved_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "bert_ner" / FILE_NAME)


def found(nlp: Language) -> list[list[tuple[str, str]]]:
    return [entities(doc) for doc in nlp.pipe(TEXTS)]


def check_weights(nlp: Language, expected: dict[str, torch.Tensor]) -> None:
    state = shim_of(nlp).encoder.state_dict()
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        assert state[name].dtype == torch.float32
        assert torch.equal(state[name], tensor), name


def test_prediction_holds_one_copy(folder: Path) -> None:
    nlp = spacy.load(folder)
    shim = shim_of(nlp)
    assert found(nlp) == expected_entities()
    assert shim._model is None
    assert shim._fast is not None
    assert {param.dtype for param in shim._fast.parameters()} == {torch.bfloat16}


def test_the_file_is_plain_safetensors_in_fp32(folder: Path) -> None:
    assert {tensor.dtype for tensor in saved_weights(folder).values()} == {torch.float32}
    # The rest is small.
    assert (folder / "bert_ner" / "model").stat().st_size < (folder / "bert_ner" / FILE_NAME).stat().st_size


def test_training_takes_the_saved_weights_up(folder: Path) -> None:
    nlp = spacy.load(folder)
    before = [doc.spans["bert_ner"].attrs["scores"] for doc in nlp.pipe(TEXTS)]
    check_weights(nlp, saved_weights(folder))
    for old, doc in zip(before, nlp.pipe(TEXTS), strict=True):
        np.testing.assert_array_equal(old, doc.spans["bert_ner"].attrs["scores"])
    losses = train(nlp, 3)
    assert losses[0]["bert_ner"] < 0.5
    assert any(
        not torch.equal(tensor, saved_weights(folder)[name])
        for name, tensor in shim_of(nlp).encoder.state_dict().items()
    )
    assert found(nlp) == expected_entities()


def again_by_disk(nlp: Language, folder: Path) -> Language:
    nlp.to_disk(folder / "again")
    return spacy.load(folder / "again")


def again_by_bytes(nlp: Language, folder: Path) -> Language:
    return spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())


def again_by_copy(nlp: Language, folder: Path) -> Language:
    return _holding(copy.deepcopy(nlp.get_pipe("bert_ner")))


def _holding(component: Any) -> Language:
    nlp = spacy.blank("en")
    nlp.vocab = component.vocab
    nlp._components.append(("bert_ner", component))
    nlp._pipe_meta["bert_ner"] = nlp.get_factory_meta("bert_ner")
    nlp._pipe_configs["bert_ner"] = nlp.get_factory_meta("bert_ner").default_config  # type: ignore[assignment]
    return nlp


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("again", [again_by_disk, again_by_bytes, again_by_copy])
def test_copies_have_the_whole_weights(
    folder: Path, tmp_path: Path, again: Callable[[Language, Path], Language], used: bool
) -> None:
    nlp = spacy.load(folder)
    if used:
        assert found(nlp) == expected_entities()
    other = again(nlp, tmp_path)
    assert found(other) == expected_entities()
    check_weights(other, saved_weights(folder))
    assert shim_of(nlp)._model is None


def test_saving_over_itself(copied: Path) -> None:
    expected = saved_weights(copied)
    nlp = spacy.load(copied)
    nlp.to_disk(copied)
    nlp.to_disk(copied)
    check_weights(nlp, expected)
    check_weights(spacy.load(copied), expected)
    train(nlp, 2)
    nlp.to_disk(copied)
    check_weights(spacy.load(copied), dict(shim_of(nlp).encoder.state_dict()))


@posix
def test_a_folder_that_is_gone_does_no_harm(copied: Path, folder: Path, tmp_path: Path) -> None:
    nlp = spacy.load(copied)
    shutil.rmtree(copied)
    assert found(nlp) == expected_entities()
    nlp.to_disk(tmp_path / "elsewhere")
    check_weights(spacy.load(tmp_path / "elsewhere"), saved_weights(folder))
    check_weights(nlp, saved_weights(folder))


@posix
def test_a_file_that_was_replaced_does_no_harm(copied: Path, folder: Path) -> None:
    nlp = spacy.load(copied)
    file = copied / "bert_ner" / FILE_NAME
    other = file.with_name("other")
    other.write_bytes(b"something else")
    other.replace(file)
    assert found(nlp) == expected_entities()
    check_weights(nlp, saved_weights(folder))


@posix
@pytest.mark.parametrize("used", [False, True])
def test_a_file_that_was_written_into_is_found_out(copied: Path, used: bool, tmp_path: Path) -> None:
    nlp = spacy.load(copied)
    if used:
        assert found(nlp) == expected_entities()
    file = copied / "bert_ner" / FILE_NAME
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    with file.open("r+b") as opened:
        opened.write(content)
    if used:
        assert found(nlp) == expected_entities()
    for action in (lambda: nlp.to_disk(tmp_path / "x"), nlp.to_bytes, lambda: nlp.update(examples_of(nlp))):
        with pytest.raises(DamagedModelError, match="holds other weights than when the pipeline was loaded"):
            action()


@pytest.mark.parametrize("damage", ["flipped", "cut", "longer", "missing", "other"])
def test_damage_is_found_at_loading(copied: Path, tiny_bert: Path, damage: str) -> None:
    file = copied / "bert_ner" / FILE_NAME
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "other":
        make_pipeline(tiny_bert).to_disk(copied.parent / "other")
        shutil.copy(copied.parent / "other" / "bert_ner" / FILE_NAME, file)
    else:
        flipped = content[:100] + bytes([content[100] ^ 8]) + content[101:]
        file.write_bytes({"flipped": flipped, "cut": content[:-7], "longer": content + b"\0"}[damage])
    with pytest.raises(DamagedModelError, match=FILE_NAME.replace(".", r"\.")) as caught:
        spacy.load(copied)
    assert "Copy, download or install the pipeline anew" in str(caught.value)


def test_a_time_that_was_set_back_hides_nothing(copied: Path) -> None:
    nlp = spacy.load(copied)
    file = copied / "bert_ner" / FILE_NAME
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    with file.open("r+b") as opened:
        opened.write(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DamagedModelError, match="holds other weights"):
        nlp(TEXTS[0])


def test_bytes_have_the_weights_while_another_thread_saves(folder: Path, tmp_path: Path) -> None:
    nlp = spacy.load(folder)
    shim = shim_of(nlp)
    within: list[bytes] = []
    with shim.weights_in(tmp_path / "file"):
        thread = threading.Thread(target=lambda: within.append(shim.to_bytes()))
        thread.start()
        thread.join()
        assert len(shim.to_bytes()) < len(within[0])
    assert (tmp_path / "file").read_bytes() == (folder / "bert_ner" / FILE_NAME).read_bytes()
    assert EncoderShim(EncoderSettings("x", precision="bf16")).from_bytes(within[0]).is_there


def test_two_encoders_have_a_file_each(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    both: dict[str, Any] = {"@architectures": "tests.two_encoders.v1", "encoders": {"a": encoder_block(tiny_bert)}}
    both["encoders"]["b"] = encoder_block(tiny_bert, case_features=True)
    nlp.add_pipe("bert_ner", config={"model": {"tok2vec": both}})
    nlp.initialize(lambda: examples_of(nlp))
    nlp.to_disk(tmp_path)
    assert {file.name for file in tmp_path.rglob("*.safetensors")} == {FILE_NAME, "encoder-1.safetensors"}
    loaded = spacy.load(tmp_path)
    for doc, other in zip(nlp.pipe(TEXTS), loaded.pipe(TEXTS), strict=True):
        assert entities(doc) == entities(other)


@registry.architectures("tests.two_encoders.v1")
def two_encoders(encoders: dict[str, Any]) -> Any:
    return concatenate(*(build_tok2vec(encoder, WIDTH) for encoder in encoders.values()))


def test_averages_replace_weights_that_are_on_the_disk(folder: Path) -> None:
    nlp = spacy.load(folder)
    shim = shim_of(nlp)
    before = [doc.spans["bert_ner"].attrs["scores"] for doc in nlp.pipe(TEXTS)]
    zeros = {(shim.id, "network.embeddings.words.weight"): np.zeros((len_of_words(shim), 32), dtype="f")}
    with nlp.use_params(zeros):
        changed = [doc.spans["bert_ner"].attrs["scores"] for doc in nlp.pipe(TEXTS)]
    assert not all(np.array_equal(a, b) for a, b in zip(before, changed, strict=True))


def len_of_words(shim: EncoderShim) -> int:
    return int(shim.pieces.count)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_holds_the_lock(folder: Path) -> None:
    nlp = spacy.load(folder)
    shim = shim_of(nlp)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with shim._lock:
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    with warnings.catch_warnings():
        # Python 3.12 warns of forks of processes with threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if found(nlp) == expected_entities() else 1)
    try:
        _, status = os.waitpid(child, 0)
    finally:
        release.set()
        thread.join()
    assert status == 0


def test_a_component_left_out_of_saving_writes_no_weights(folder: Path, tmp_path: Path) -> None:
    nlp = spacy.load(folder)
    nlp.to_disk(tmp_path / "out", exclude=["bert_ner"])
    assert not list((tmp_path / "out").rglob(FILE_NAME))
    nlp.get_pipe("bert_ner").to_disk(tmp_path / "part", exclude=["model"])  # type: ignore[attr-defined]
    assert not list((tmp_path / "part").rglob(FILE_NAME))
