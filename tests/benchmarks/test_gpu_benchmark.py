"""The benchmark of GPUs on an encoder of no size: its figures, and that its checks notice what they are there for."""

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from tests.benchmarks.test_benchmark import load_script

SPEED = {"batch", "dtype", "words_per_second", "runs", "peak_mib", "matrix_share"}
SYSTEMS = {"ours", "hugging_face", "hugging_face_same_words", "notebook"}


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    return load_script("benchmarks/gpu.py")


@pytest.mark.slow
@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: torch.cuda.is_available() is False"),
            ],
        ),
    ],
)
def test_all_of_it_in_small(gpu: ModuleType, device: str, tmp_path: Path) -> None:
    try:
        gpu.main([str(tmp_path / "figures" / "gpu.json"), "--device", device, "--small"])
    finally:
        gpu.require_cpu()
    figures = json.loads((tmp_path / "figures" / "gpu.json").read_text(encoding="utf8"))
    assert set(figures["checks"]) == {"gradients_fp32", "predictions_fp32", "predictions_bf16"}
    assert all(found["holds"] and found["at_most"] for found in figures["checks"].values())
    assert figures["checks"]["predictions_fp32"]["f1"] > 0.9
    # All of them: 12 a layer, the embeddings' 5, case features, the memory's 4, the head's 2.
    assert figures["checks"]["gradients_fp32"]["parameters"] == 36
    for task in ("training", "prediction"):
        assert figures[task].keys() == SYSTEMS
        assert all(found.keys() == SPEED and found["words_per_second"] > 0 for found in figures[task].values())
    assert (figures["machine"]["card"] is None) == (device == "cpu")
    assert figures["versions"].keys() > {"torch", "spacy", "cupy"}
    assert figures["bf16_tflops"] > 0
    assert 1 < figures["pieces_per_word"] < 2


def test_a_gradient_that_differs_is_named(gpu: ModuleType) -> None:
    generator = torch.Generator().manual_seed(0)
    expected = {name: torch.randn(8, 8, dtype=torch.float64, generator=generator) for name in "abc"}
    rounded = {name: gradient.float().double() for name, gradient in expected.items()}
    assert gpu.compare_gradients(expected, rounded)["holds"]
    wrong = gpu.compare_gradients(expected, {**expected, "b": 1.01 * expected["b"]})
    assert (wrong["holds"], wrong["worst_parameter"]) == (False, "b")
    assert not gpu.compare_gradients(expected, {**expected, "b": expected["b"] * np.nan})["holds"]
    with pytest.raises(ValueError, match="Gradients of one device alone: c"):
        gpu.compare_gradients(expected, {name: expected[name] for name in "ab"})


@pytest.mark.parametrize(
    ("factor", "entities"),
    [
        (1.01, {(0, 0, 1, "PER"): 0.9, (0, 2, 3, "ORG"): 0.8}),
        (np.nan, {(0, 0, 1, "PER"): 0.9, (0, 2, 3, "ORG"): 0.8}),
        (1.0, {(0, 0, 1, "PER"): 0.9, (0, 2, 3, "LOC"): 0.8}),
        (1.0, {(0, 0, 1, "PER"): 0.9, (0, 2, 3, "ORG"): 0.7}),
        (1.0, {}),
    ],
)
def test_predictions_that_differ_are_noticed(
    gpu: ModuleType, factor: float, entities: dict[tuple[int, int, int, str], float]
) -> None:
    expected = gpu.Predictions(np.ones((4, 9)), {(0, 0, 1, "PER"): 0.9, (0, 2, 3, "ORG"): 0.8})
    bounds = gpu.PREDICTION_BOUNDS["fp32"]
    assert gpu.compare_predictions(expected, expected, bounds)["holds"]
    found = gpu.Predictions(factor * expected.logits, entities)
    assert not gpu.compare_predictions(expected, found, bounds)["holds"]


def test_where_a_check_fails_the_figures_are_written_and_the_benchmark_fails(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = {"all": 1.0, "at_most": {"all": 0.1}, "holds": False}
    figures = {"checks": {"gradients_fp32": failed}, "training": {}, "prediction": {}}
    monkeypatch.setattr(gpu, "measure", lambda *args: figures)
    with pytest.raises(SystemExit) as ended:
        gpu.main([str(tmp_path / "gpu.json"), "--device", "cpu"])
    assert ended.value.code == 1
    assert "gradients_fp32" in capsys.readouterr().out
    assert json.loads((tmp_path / "gpu.json").read_text(encoding="utf8")) == figures


def test_without_a_gpu_it_says_what_to_type(gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> bool:
        raise ValueError("Cannot use GPU, CuPy is not installed")

    monkeypatch.setattr(gpu, "require_gpu", refuse)
    with pytest.raises(SystemExit, match=r"CuPy is not installed[\s\S]*pip install [\s\S]*--device cpu --small"):
        gpu.main([str(tmp_path / "gpu.json")])


def test_the_text_is_as_long_and_as_full_of_names_as_conll(gpu: ModuleType) -> None:
    text = gpu.write_text(0, 300)
    assert text == gpu.write_text(0, 300)
    sentences = [sent for doc in text for sent in doc]
    tags = [tag for sent in sentences for tag in sent.tags]
    assert len(tags) / len(text) == pytest.approx(217, rel=0.1)
    assert len(tags) / len(sentences) == pytest.approx(gpu.WORDS, rel=0.1)
    assert sum(tag.startswith("B-") for tag in tags) / len(tags) == pytest.approx(0.12, abs=0.02)
