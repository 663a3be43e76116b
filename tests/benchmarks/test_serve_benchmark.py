"""benchmarks/serve.py, in small."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc, DocBin

from spacy_bert_ner.serving.app import make_app
from spacy_bert_ner.serving.service_settings import ServiceSettings
from tests.serving.services import make_ruler, serving

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "serve.py"
TEXTS = ["Jane flew to Geneva " * 7, "nobody knows why " * 10]


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("benchmark_serve", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its named tuples look for it there.
    sys.modules["benchmark_serve"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["benchmark_serve"]


def address_of(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


def test_latency_throughput_and_memory(benchmark: ModuleType) -> None:
    with serving(make_app({"rules": make_ruler})) as url:
        address, nlp = address_of(url), make_ruler()
        latency = benchmark.measure_latency(nlp, address, TEXTS, 0.3)
        assert latency["served"]["statuses"].keys() == {"200"}
        assert latency["more"] == pytest.approx(
            latency["served"]["milliseconds"]["p50"] - latency["in_process"], abs=0.02
        )
        load = benchmark.measure_throughput(nlp, address, TEXTS, 4, 0.6)
        assert load["statuses"].keys() == {"200"}
        assert load["ratio"] == pytest.approx(load["words_per_second"] / load["pipe_words_per_second"], abs=0.01)
        assert 0 < load["client_cpu"] <= 1
        memory = benchmark.measure_memory(address, os.getpid(), TEXTS, 4, 1.0)
        assert memory["words"] > 0
        assert memory["mib_at_end"] > 10


def test_overload(benchmark: ModuleType) -> None:
    settings = ServiceSettings(max_batch_words=60, max_wait=0.1)
    with serving(make_app({"rules": lambda: make_ruler(slow=0.01)}, settings), settings) as url:
        figures: dict[str, Any] = benchmark.measure_overload(address_of(url), TEXTS, 90, 0.7)
    assert figures["statuses"].keys() == {"200", "503"}
    assert sum(figures["statuses"].values()) == figures["requests"] == 126
    assert figures["milliseconds"]["p99"] < 2000
    assert figures["recovery_seconds"] <= 1


def test_texts_have_thirty_words(benchmark: ModuleType, tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    docs = [Doc(nlp.vocab, words=["word"] * n) for n in (70, 29, 30)]
    DocBin(docs=docs).to_disk(tmp_path / "corpus.spacy")
    assert [len(text.split()) for text in benchmark.texts_of(tmp_path / "corpus.spacy", nlp)] == [30, 30, 30]
    DocBin(docs=docs[1:2]).to_disk(tmp_path / "short.spacy")
    with pytest.raises(SystemExit, match="holds no document of 30 words"):
        benchmark.texts_of(tmp_path / "short.spacy", nlp)
