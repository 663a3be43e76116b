"""Fetching corpora: from folders, the sample and the Hub, and what their manifests say."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from spacy_bert_ner.data import CorpusError, read_corpus
from spacy_bert_ner.data.assets.fetching import fetch_corpus
from spacy_bert_ner.data.assets.manifest import AssetError
from tests.data.fetched import age, check_kept, contents, make_folder, origin, times

TINY = "-DOCSTART- O\n\nAda B-PER\nran O\n"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "columns", dict.fromkeys(("train.txt", "dev.txt", "test.txt", "README.md"), TINY))


def test_folder_of_columns(corpus: Path, out: Path) -> None:
    fetched = fetch_corpus(str(corpus), out)
    assert fetched.changed == ("dev.txt", "manifest.json", "test.txt", "train.txt")
    assert contents(out) == dict.fromkeys(["train.txt", "dev.txt", "test.txt"], TINY)
    assert origin(out) == {"kind": "folder", "source": str(corpus), "revision": None}
    assert read_corpus(out) == read_corpus(corpus)


def test_only_what_changed_is_rewritten(corpus: Path, out: Path) -> None:
    fetch_corpus(str(corpus), out)
    before = age(out)
    assert fetch_corpus(str(corpus), out).changed == ()
    assert times(out) == before
    (corpus / "dev.txt").write_text(TINY * 2, encoding="utf-8")
    assert fetch_corpus(str(corpus), out).changed == ("dev.txt", "manifest.json")
    assert {name for name, time in times(out).items() if time != before[name]} == {"dev.txt", "manifest.json"}
    (out / "test.txt").write_text("damaged", encoding="utf-8")
    assert fetch_corpus(str(corpus), out).changed == ("test.txt",)
    assert contents(out)["test.txt"] == TINY


def test_files_of_another_source_go_and_those_of_others_stay(corpus: Path, tmp_path: Path, out: Path) -> None:
    fetch_corpus(str(corpus), out)
    (out / "notes.md").write_text("mine", encoding="utf-8")
    other = make_folder(tmp_path / "other", {f"{name}.conll": TINY for name in ("train", "dev", "test")})
    assert "train.txt" in fetch_corpus(str(other), out).changed
    found = {path.name for path in out.iterdir()}
    assert found == {"train.conll", "dev.conll", "test.conll", "manifest.json", "notes.md"}


def test_manifest_cannot_reach_out_of_its_folder(corpus: Path, out: Path) -> None:
    fetch_corpus(str(corpus), out)
    outside = out.parent / "outside.txt"
    outside.write_text("keep me", encoding="utf-8")
    manifest = {**origin(out), "files": [{"name": "../outside.txt", "sha256": "", "size": 0}]}
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    fetch_corpus(str(corpus), out)
    assert outside.exists()


@pytest.mark.parametrize("manifest", ["", "[]", "{"])
def test_damaged_manifest_is_written_anew(corpus: Path, out: Path, manifest: str) -> None:
    fetch_corpus(str(corpus), out)
    (out / "manifest.json").write_text(manifest, encoding="utf-8")
    assert fetch_corpus(str(corpus), out).changed == ("manifest.json",)
    assert contents(out)


def test_run_cut_short_is_mended(corpus: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: Path, target: Path) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("spacy_bert_ner.data.assets.manifest.copy_file", fail)
        with pytest.raises(OSError, match="disk full"):
            fetch_corpus(str(corpus), out)
    fetch_corpus(str(corpus), out)
    assert contents(out)


def test_source_that_is_the_target(corpus: Path) -> None:
    with pytest.raises(AssetError) as error:
        fetch_corpus(str(corpus), corpus)
    assert str(error.value) == f"{corpus}: both where the files are and where they go, expected another folder"


def test_sample(corpus: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fetch_corpus("sample", out, sample=corpus)
    assert origin(out) == {"kind": "builtin", "source": "sample", "revision": None}
    assert read_corpus(out) == read_corpus(corpus)


def hub_dataset(names: list[str]) -> DatasetDict:
    features = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O", "B-PER"]))})
    rows = {"tokens": [["Ada", "ran"], ["Bob"]], "ner_tags": [[1, 0], [1]]}
    return DatasetDict({name: Dataset.from_dict(rows, features=features) for name in names})


def test_hub_corpus(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *_, **__: SimpleNamespace(sha="c0ffee"))
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: hub_dataset(["train", "dev", "test"]))
    direct = read_corpus("org/name")
    fetch_corpus("org/name", out)
    assert set(contents(out)) == {"train.parquet", "validation.parquet", "test.parquet"}
    assert origin(out) == {"kind": "hub", "source": "org/name", "revision": "c0ffee"}
    assert read_corpus(out) == direct
    check_kept(out, lambda: fetch_corpus("org/name", out), "datasets.load_dataset", monkeypatch)


def test_hub_corpus_out_of_reach(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", unreachable)
    with pytest.raises(CorpusError, match=r"^Cannot load 'org/name' from the Hugging Face Hub.*\(--corpus FOLDER\)"):
        fetch_corpus("org/name", out)
    assert not out.exists()
