"""Pretrained encoders that are not there, damaged, contradictory or dangerous: each is refused at initialization."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from spacy_bert_ner.encoder.model import build_encoder_model

CODE = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"


@pytest.fixture
def encoder(tiny_bert: Path, tmp_path: Path) -> Path:
    """An encoder to damage."""
    return Path(shutil.copytree(tiny_bert, tmp_path / "encoder"))


def load(name: Path | str, **settings: Any) -> None:
    build_encoder_model(str(name), **{"precision": "fp32", **settings}).initialize()


def refusal(name: Path | str, **settings: Any) -> str:
    with pytest.raises(ValueError, match=r'^\[@architectures = "spacy-bert-ner.Encoder.v1"\] ') as caught:
        load(name, **settings)
    return str(caught.value)


def cut(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(bytes(content))


def remove_tokenizer(folder: Path) -> None:
    for path in folder.glob("[stv]*"):
        path.unlink()


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c"])
def test_not_there(name: str) -> None:
    message = refusal(name)
    assert f"name = '{name}': no folder of that name, expected a folder with config.json" in message


def test_a_file_and_an_empty_folder(tmp_path: Path) -> None:
    assert "the folder's files nothing, expected a folder with config.json" in refusal(tmp_path)
    (tmp_path / "model.zip").touch()
    assert "a file, expected a folder with config.json" in refusal(tmp_path / "model.zip")


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "expected a folder with config.json"),
    "config cut short": (lambda folder: cut(folder / "config.json", 50), "expected a folder with config.json"),
    "config of nothing": (lambda folder: (folder / "config.json").write_text("{}"), "expected a folder with config"),
    "config without a type": (
        lambda folder: (folder / "config.json").write_text('{"hidden_size": 32}'),
        'config.json has no "model_type"',
    ),
    "unknown model": (lambda folder: edit(folder / "config.json", model_type="tomorrow"), "tomorrow"),
    "no tokenizer": (
        remove_tokenizer,
        "its tokenizer cannot be loaded",
    ),
    "tokenizer empty": (lambda folder: cut(folder / "tokenizer.json", 0), "its tokenizer cannot be loaded"),
    "tokenizer cut short": (lambda folder: cut(folder / "tokenizer.json", 999), "its tokenizer cannot be loaded"),
    "tokenizer of nothing": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "its tokenizer cannot be"),
    "weights empty": (lambda folder: cut(folder / "model.safetensors", 0), "its weights cannot be loaded"),
    "weights cut in the length": (lambda folder: cut(folder / "model.safetensors", 5), "its weights cannot be loaded"),
    "weights cut in the header": (lambda folder: cut(folder / "model.safetensors", 99), "its weights cannot be loaded"),
    "weights cut in the data": (
        lambda folder: cut(folder / "model.safetensors", 99999),
        "its weights cannot be loaded",
    ),
    "weights' length flipped": (lambda folder: flip(folder / "model.safetensors", 1), "its weights cannot be loaded"),
    "weights' header flipped": (lambda folder: flip(folder / "model.safetensors", 9), "its weights cannot be loaded"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no weights in model.safetensors among"),
    "fewer layers": (
        lambda folder: edit(folder / "config.json", num_hidden_layers=3),
        "its weights lack encoder",
    ),
    "another width": (
        lambda folder: edit(folder / "config.json", intermediate_size=48),
        "its weights cannot be loaded",
    ),
}


ODD: dict[str, tuple[dict[str, Any], str]] = {
    "heads": ({"num_attention_heads": 3}, "hidden_size = 32 is no multiple of num_attention_heads = 3"),
    "a list for a type": ({"model_type": ["bert"]}, 'config.json has no "model_type"'),
    "quantized": ({"quantization_config": {"load_in_8bit": True}}, "take the checkpoint before it was quantized"),
}


@pytest.mark.parametrize(("values", "message"), ODD.values(), ids=ODD)
def test_odd_configs(encoder: Path, values: dict[str, Any], message: str) -> None:
    edit(encoder / "config.json", **values)
    assert message in refusal(encoder)


def test_a_config_without_an_activation(encoder: Path) -> None:
    edit(encoder / "config.json", hidden_act=None)
    # By transformers' fifth version; by its fourth.
    with pytest.raises(ValueError, match=r"its weights cannot be loaded|does not give one vector per word piece"):
        load(encoder)


def test_weights_that_have_lost_their_scales(encoder: Path) -> None:
    state = load_file(encoder / "model.safetensors")
    name = "encoder.layer.0.output.dense.weight"
    save_file({**state, name: (state[name] * 100).to(torch.int8)}, encoder / "model.safetensors")
    assert "dtype torch.int8, which would need scales" in refusal(encoder)


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damaged(encoder: Path, damage: Callable[[Path], None], message: str) -> None:
    load(encoder)
    damage(encoder)
    found = refusal(encoder)
    assert message in found
    assert str(encoder) in found


def test_settings_that_contradict_the_encoder(encoder: Path) -> None:
    message = refusal(encoder, transformer_config={"attention_dropout_prob": 0.0})
    assert "transformer_config names attention_dropout_prob, which the config of" in message
    assert "attention_probs_dropout_prob" in message
    assert "its weights lack" in refusal(encoder, transformer_config={"num_hidden_layers": 4})
    assert "its weights cannot be loaded" in refusal(encoder, transformer_config={"intermediate_size": 48})
    load(encoder, transformer_config={"num_hidden_layers": 1, "torch_dtype": "float32"})


@pytest.mark.slow
def test_pickles_are_refused_and_can_be_converted(encoder: Path, tmp_path: Path) -> None:
    torch.save(AutoModel.from_pretrained(encoder).state_dict(), encoder / "pytorch_model.bin")
    (encoder / "model.safetensors").unlink()
    assert (encoder / "pytorch_model.bin").is_file()
    message = refusal(encoder)
    assert "a pickle (pytorch_model.bin) can run code. If you trust it, convert it" in message
    command = shlex.split(message[message.index("python -c") :])
    subprocess.run([sys.executable, *command[1:]], cwd=tmp_path, check=True, capture_output=True)
    load(tmp_path / "converted")


@pytest.mark.parametrize(
    ("file", "auto_map"),
    [
        ("config.json", {"AutoConfig": "code.Config", "AutoModel": "code.Model"}),
        ("tokenizer_config.json", {"AutoTokenizer": ["code.Tokenizer", "code.Tokenizer"]}),
    ],
)
def test_an_encoders_own_code_is_not_run(encoder: Path, file: str, auto_map: dict[str, Any]) -> None:
    (encoder / "code.py").write_text(CODE)
    # Where transformers has a class of its own, that one is taken, and no question asked.
    edit(encoder / file, auto_map=auto_map)
    load(encoder)
    # Where it has none, there is nothing to be done without that code.
    edit(encoder / "config.json", model_type="tomorrow", auto_map=auto_map)
    edit(encoder / "tokenizer_config.json", tokenizer_class="Tomorrow")
    refusal(encoder)
    for settings in (
        {"transformer_config": {"trust_remote_code": True}},
        {"tokenizer_config": {"trust_remote_code": 1}},
    ):
        assert "trust_remote_code would run code that comes with an encoder" in refusal(encoder, **settings)
    assert not (encoder / "ran").exists()
