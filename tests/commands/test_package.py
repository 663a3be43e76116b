"""`package` and `verify`: from a pipeline to wheels that work elsewhere."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spacy_bert_ner.packaging import verification
from spacy_bert_ner.packaging import wheels as building
from spacy_bert_ner.storage.provenance import KEY, content_sha256
from tests.commands.tiny import invoke, said, save_corpus, save_model


def packaged_meta(output: Path, name: str) -> dict[str, Any]:
    (path,) = output.glob(f"{name}-*/meta.json")
    return json.loads(path.read_text(encoding="utf8"))


@pytest.mark.slow
# spaCy leaves the files of its package to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_package_then_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build_once: Callable[[Path], Path]
) -> None:
    monkeypatch.setattr(building, "build_plugin_wheel", build_once)
    model, corpus, output = save_model(tmp_path), save_corpus(tmp_path / "dev.spacy"), tmp_path / "packages"
    result = invoke("package", model, output, "--name", "tiny", "--version", "1.2.3", "--license", "MIT")
    assert result.exit_code == 0, result.output
    assert sorted(path.name.split("-")[0] for path in (output / "wheels").iterdir()) == ["en_tiny", "spacy_bert_ner"]
    meta = packaged_meta(output, "en_tiny")
    assert (meta["name"], meta["version"], meta["license"]) == ("tiny", "1.2.3", "MIT")
    assert "(LOC, ORG, PER)" in meta["description"]
    assert KEY in meta
    # An earlier version gives way to the later one, and other wheels stay.
    (output / "wheels" / "other-1.0-py3-none-any.whl").write_bytes(b"")
    assert invoke("package", model, output, "-n", "tiny", "-v", "1.2.4").exit_code == 0
    names = {path.name.split("-")[0]: path.name.split("-")[1] for path in (output / "wheels").iterdir()}
    assert (names["en_tiny"], names["other"]) == ("1.2.4", "1.0")
    result = invoke("verify", output / "wheels", model)
    assert (result.exit_code, "expected one model's wheel" in said(result)) == (1, True)
    (output / "wheels" / "other-1.0-py3-none-any.whl").unlink()
    # Nothing that it was trained on is in the texts that stand by.
    result = invoke("verify", output / "wheels", model, "--corpus", corpus, "--json", tmp_path / "verify.json")
    assert result.exit_code == 0, result.output
    assert "works, installed and offline" in said(result)
    found = json.loads((tmp_path / "verify.json").read_text(encoding="utf8"))
    assert found["entities"][0] == [["Jane Smith", 0, "PER"], ["Paris", 20, "LOC"]]
    # Another model than the one that was packaged, whose entities are those of before.
    monkeypatch.setattr(verification, "install", lambda *_: None)
    monkeypatch.setattr(verification, "probe", lambda *_: {"entities": found["entities"], "origins": {}})
    assert invoke("verify", output / "wheels", model, "--corpus", corpus).exit_code == 0
    state = json.loads((model / "bert_ner" / "cfg").read_text(encoding="utf8"))
    state["labels"] = [f"X{label}" for label in state["labels"]]
    state["offsets"] = {}
    (model / "bert_ner" / "cfg").write_text(json.dumps(state), encoding="utf8")
    result = invoke("verify", output / "wheels", model, "--corpus", corpus)
    assert (result.exit_code, "The installed model differs" in said(result)) == (1, True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_exported_pipeline_is_packaged_and_works_without_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build_once: Callable[[Path], Path]
) -> None:
    monkeypatch.setattr(building, "build_plugin_wheel", build_once)
    model, corpus, output = save_model(tmp_path), save_corpus(tmp_path / "dev.spacy"), tmp_path / "packages"
    exported = tmp_path / "exported"
    result = invoke("export", model, exported)
    assert result.exit_code == 0, result.output
    assert "encoder.weights" in said(result)
    result = invoke("export", model, exported)
    assert (result.exit_code, "Add --force to replace it" in said(result)) == (1, True)
    assert invoke("package", exported, output, "--name", "tiny_onnx").exit_code == 0
    wheel = verification.find_model_wheel(output / "wheels")
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (archive.read(name) for name in archive.namelist() if name.endswith("METADATA"))
    assert b"Requires-Dist: spacy-bert-ner[onnx]" in metadata
    assert b"torch" not in metadata
    result = invoke("verify", output / "wheels", exported, "--corpus", corpus)
    assert result.exit_code == 0, result.output
    # It is not merely said that nothing of torch is there.
    monkeypatch.setattr(verification, "ABSENT", ("onnxruntime",))
    result = invoke("verify", output / "wheels", exported, "--corpus", corpus)
    assert (result.exit_code, "ONNX Runtime, which is not installed" in said(result)) == (1, True)


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the model's wheel would have been built with."""
    metas: list[dict[str, Any]] = []

    def build(model: Path, meta: dict[str, Any], packages: Path, wheels: Path) -> Path:
        metas.append(meta)
        return wheels / "model.whl"

    monkeypatch.setattr(building, "build_model_wheel", build)
    monkeypatch.setattr(building, "build_plugin_wheel", lambda wheels: wheels / "plugin.whl")
    return metas


def test_what_evaluate_and_fetch_found_goes_into_the_meta(tmp_path: Path, described: list[dict[str, Any]]) -> None:
    model = save_model(tmp_path)
    row = {"precision": 0.5, "recall": 1.0, "f1": 2 / 3}
    (tmp_path / "test.json").write_text(
        json.dumps({**row, "types": {"PER": row}, "raw_text": {"f1": 0.5}}), encoding="utf8"
    )
    for part, manifest in (
        ("corpus", {"kind": "folder", "source": "/somewhere/mine"}),
        ("encoder", {"kind": "hub", "source": "org/name"}),
    ):
        (tmp_path / "assets" / part).mkdir(parents=True)
        (tmp_path / "assets" / part / "manifest.json").write_text(json.dumps(manifest), encoding="utf8")
    files = ["--metrics", tmp_path / "test.json", "--assets", tmp_path / "assets"]
    result = invoke("package", model, tmp_path / "packages", "--name", "tiny", *files)
    assert result.exit_code == 0, result.output
    (meta,) = described
    assert meta["performance"]["ents_f"] == pytest.approx(2 / 3)
    assert meta["performance"]["raw_ents_f"] == 0.5
    assert "(PER)" in meta["description"]
    assert "F1 on its test set: 66.67" in meta["description"]
    assert [source["name"] for source in meta["sources"]] == ["mine", "org/name"]


def test_the_encoder_is_that_of_the_pipeline(tmp_path: Path, described: list[dict[str, Any]]) -> None:
    """The workflow `small` has two: the teacher's, and the student's in a folder of its own."""
    for folder in ("corpus", "encoder", "small/encoder"):
        (tmp_path / "assets" / folder).mkdir(parents=True)
        manifest = {"kind": "hub", "source": f"org/{folder}"}
        (tmp_path / "assets" / folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf8")
    model = save_model(tmp_path)
    meta = json.loads((model / "meta.json").read_text(encoding="utf8"))
    for folder in ("encoder", "small/encoder"):
        meta[KEY] = {"data_sha256": {"encoder": content_sha256(tmp_path / "assets" / folder)}}
        (model / "meta.json").write_text(json.dumps(meta), encoding="utf8")
        result = invoke("package", model, tmp_path / "packages", "--name", "tiny", "--assets", tmp_path / "assets")
        assert result.exit_code == 0, result.output
        assert [source["name"] for source in described[-1]["sources"]] == ["org/corpus", f"org/{folder}"]


@pytest.mark.parametrize("name", ["my-names", "my names", "__", "../x", "naïve", "a__b"])
def test_a_name_that_is_none(name: str, tmp_path: Path, described: list[dict[str, Any]]) -> None:
    result = invoke("package", save_model(tmp_path), tmp_path / "packages", "--name", name)
    assert (result.exit_code, "expected letters, digits and underscores" in said(result)) == (1, True)
    assert not (tmp_path / "packages").exists()


def test_a_name_of_its_own(tmp_path: Path, described: list[dict[str, Any]]) -> None:
    model = save_model(tmp_path)
    result = invoke("package", model, tmp_path / "packages")
    assert (result.exit_code, "--name my_names" in said(result)) == (1, True)
    meta = json.loads((model / "meta.json").read_text(encoding="utf8"))
    (model / "meta.json").write_text(json.dumps({**meta, "name": "mine", "version": "2.0.0"}), encoding="utf8")
    assert invoke("package", model, tmp_path / "packages").exit_code == 0
    assert (described[0]["name"], described[0]["version"]) == ("mine", "2.0.0")


@pytest.mark.parametrize(
    ("option", "content", "message"),
    [
        ("--metrics", "{", "test.json is not what evaluate writes with --json"),
        ("--metrics", "{}", "test.json is not what evaluate writes with --json"),
        ("--metrics", "[]", "test.json is not what evaluate writes with --json"),
        ("--metrics", '{"f1": null, "types": []}', "test.json is not what evaluate writes with --json"),
    ],
)
def test_figures_that_are_none(
    tmp_path: Path, described: list[dict[str, Any]], option: str, content: str, message: str
) -> None:
    (tmp_path / "test.json").write_text(content, encoding="utf8")
    args = ["--name", "tiny", option, tmp_path / "test.json"]
    result = invoke("package", save_model(tmp_path), tmp_path / "packages", *args)
    assert (result.exit_code, message in said(result)) == (1, True), result.output


def test_what_is_missing_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "version", lambda name: "65.5.0")
    monkeypatch.setattr(building, "find_spec", lambda name: None)
    result = invoke("package", save_model(tmp_path), tmp_path / "packages", "--name", "tiny")
    assert result.exit_code == 1
    assert 'setuptools is not installed pip install "spacy-bert-ner[train]"' in said(result)
    assert not (tmp_path / "packages").exists()
    result = invoke("package", tmp_path, tmp_path / "packages", "--name", "tiny")
    assert not (tmp_path / "packages").exists()


@pytest.mark.slow
def test_a_wheel_holds_what_the_project_holds(tmp_path: Path, build_once: Callable[[Path], Path]) -> None:
    with zipfile.ZipFile(build_once(tmp_path)) as archive:
        names = set(archive.namelist())
    for name in ("bert.cfg", "py.typed", "report/report.html.j2", "commands/cli_app.py", "serving/page/index.html"):
        assert f"spacy_bert_ner/{name}" in names
