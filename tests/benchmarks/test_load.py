"""Under load, in small: memory over a stream, several threads at once, and the benchmark that measures them."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import DocBin

from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.encoder.network.casing import word_shape
from tests.scenarios import make_pipeline, train

TEXTS = [f"Jane Smith met IBM near Paris {'and the unlucky Londoners ' * (i % 5)}on Monday {i}." for i in range(64)]


@pytest.fixture(scope="module")
def nlp(tiny_bert: Path) -> Language:
    nlp = make_pipeline(tiny_bert)
    train(nlp, steps=10)
    return nlp


@pytest.fixture(scope="module")
def load() -> ModuleType:
    """The script, which is no part of the package."""
    path = Path(__file__).parents[2] / "benchmarks" / "load.py"
    spec = importlib.util.spec_from_file_location("load_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_stream_takes_no_memory(nlp: Language, load: ModuleType) -> None:
    list(nlp.pipe(TEXTS * 4, batch_size=16))
    strings = len(nlp.vocab.strings)
    figures = load.describe(list(load.watch(nlp, TEXTS, 62_000, batch_size=16)))
    assert figures["words"] >= 60_000
    # What would be kept of a document for good, its vectors for one, would be more: 170 bytes a word are 10 MiB.
    assert figures["mib_at_end"] - figures["mib_at_start"] < 5
    assert len(nlp.vocab.strings) == strings


def test_eight_threads_at_once(nlp: Language, load: ModuleType) -> None:
    assert any(nlp(text).ents for text in TEXTS)
    assert load.count_wrong_answers(nlp, TEXTS[:16], threads=8) == 0


def test_the_slopes_are_least_squares(load: ModuleType) -> None:
    samples = [load.Sample(1000 * i, 500 + 0.03 * i, 0.5 * i, i) for i in range(1, 30)]
    figures = load.describe(samples)
    assert figures["mib_per_100k"] == pytest.approx(3.0)
    assert figures["mib_per_100k_error"] == 0
    assert figures["speed_per_100k"] == 0
    assert figures["words_per_cpu_second"] == 2000
    assert figures["words_per_second"] == 1000


def test_answers_differ_by_entities_and_by_confidences(load: ModuleType) -> None:
    answer = [(0, 1, "PER", 0.5), (2, 3, "ORG", 0.25)]
    assert load.is_same(answer, [(0, 1, "PER", 0.50001), (2, 3, "ORG", 0.25)])
    assert not load.is_same(answer, answer[:1])
    assert not load.is_same(answer, [(0, 1, "PER", 0.51), (2, 3, "ORG", 0.25)])
    assert not load.is_same(answer, [(0, 1, "LOC", 0.5), (2, 3, "ORG", 0.25)])


def test_the_script(nlp: Language, load: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp.to_disk(tmp_path / "model")
    blank = spacy.blank("en")
    DocBin(docs=[blank(text) for text in TEXTS]).to_disk(tmp_path / "corpus.spacy")
    arguments = [tmp_path / "model", tmp_path / "corpus.spacy", tmp_path / "out" / "load.json", "--words", 1500]
    arguments += ["--warm-up", 500]
    monkeypatch.setattr(sys, "argv", [*map(str, ["load.py", *arguments, "--threads", 2, "--calls", 4])])
    load.main()
    figures = json.loads((tmp_path / "out" / "load.json").read_text(encoding="utf8"))
    assert figures["wrong_answers"] == 0
    assert figures["calls"] == 8
    assert [len(sample) for sample in figures["samples"]] == [4] * len(figures["samples"])
    assert np.diff([words for words, *_ in figures["samples"]]).min() > 0


# --- what is remembered ----------------------------------------------------------------------------------------------


def test_long_words_are_not_remembered(nlp: Language) -> None:
    pieces = get_shim(nlp.get_pipe("bert_ner").model.get_ref("tok2vec")).pieces  # type: ignore[attr-defined]
    word_shape.cache_clear()
    blob = "x" * 100_000
    docs = list(nlp.pipe([f"Jane met {blob}{i}" for i in range(3)]))
    assert [doc[2].text for doc in docs] == [f"{blob}{i}" for i in range(3)]
    assert max(map(len, pieces._table.rows)) <= 100
    # The three blobs, and their one piece each, begin with the same hundred characters.
    assert word_shape.cache_info().currsize <= 3
