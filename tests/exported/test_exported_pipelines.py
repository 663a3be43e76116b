"""An exported pipeline behaves as one of spaCy's: saved, copied, forked, by threads, and refused for training."""

import json
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from spacy_bert_ner.calibration.workflow import calibrate
from spacy_bert_ner.exported import onnx_shim
from spacy_bert_ner.exported.graph_files import Graph
from spacy_bert_ner.exported.sessions import GraphSession
from spacy_bert_ner.ner.promise import Promise
from spacy_bert_ner.storage.models import DamagedModelError
from tests.exported.pipelines import TEXTS, component_of, confidences, export, found, logits_of, make_random
from tests.scenarios import examples_of, train


@pytest.fixture(scope="module")
def folder(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("exported")
    export(make_random(tiny_bert, document_memory=True), made)
    return made / "exported"


@pytest.fixture
def nlp(folder: Path) -> Language:
    return spacy.load(folder)


def documents(nlp: Language) -> list[Doc]:
    """Documents of many lengths, so that windows are padded and grouped in many ways."""
    rng = np.random.default_rng(0)
    words = " ".join(TEXTS).split()
    return [
        Doc(nlp.vocab, words=[words[i] for i in rng.integers(0, len(words), n)]) for n in [1, 1, 2, *range(3, 90, 4)]
    ]


def test_a_document_depends_on_nothing_beside_it_to_the_bit(nlp: Language) -> None:
    docs = documents(nlp)
    alone = [logits_of(nlp, [doc]) for doc in docs]
    together = logits_of(nlp, docs)
    assert np.array_equal(together, np.concatenate(alone))
    turned = logits_of(nlp, docs[::-1])
    assert np.array_equal(turned, np.concatenate(alone[::-1]))


def test_several_threads_at_once(nlp: Language) -> None:
    docs = documents(nlp)
    expected = [logits_of(nlp, [doc]) for doc in docs]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda doc: logits_of(nlp, [doc]), docs * 4))
    assert all(np.array_equal(a, b) for a, b in zip(got, expected * 4, strict=True))


def test_no_documents_and_empty_ones(nlp: Language) -> None:
    assert list(nlp.pipe([])) == []
    assert found(nlp.pipe(["", " "])) == [[], []]


@pytest.mark.parametrize("way", ["bytes", "pickle", "disk", "copied model"])
def test_it_survives(way: str, nlp: Language, tmp_path: Path) -> None:
    expected = logits_of(nlp, list(map(nlp.make_doc, TEXTS)))
    if way == "bytes":
        other = spacy.blank("en", config={}).from_config(nlp.config).from_bytes(nlp.to_bytes())
    elif way == "pickle":
        other = pickle.loads(pickle.dumps(nlp))
    elif way == "disk":
        nlp.to_disk(tmp_path)
        other = spacy.load(tmp_path)
        nlp.to_disk(tmp_path)
    else:
        other = nlp
        component_of(other).model = component_of(nlp).model.copy()
    assert np.array_equal(logits_of(other, list(map(other.make_doc, TEXTS))), expected)


def test_files_that_are_replaced_while_it_is_loaded(folder: Path, tmp_path: Path) -> None:
    spacy.load(folder).to_disk(tmp_path)
    nlp = spacy.load(tmp_path)
    # As a newer version would be put there, before the graphs are first run.
    weights = tmp_path / "bert_ner" / "encoder.weights"
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(bytes(len(content)))
    docs = list(map(nlp.make_doc, TEXTS))
    assert np.array_equal(logits_of(nlp, docs), logits_of(spacy.load(folder), docs))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forked_processes_after_it_has_run(nlp: Language) -> None:
    expected = found(nlp.pipe(TEXTS))
    assert found(nlp.pipe(TEXTS, n_process=2, batch_size=2)) == expected


@pytest.mark.parametrize("name", ["encoder.onnx", "encoder.weights", "head.onnx", "probe.onnx", "tokenizer.json"])
@pytest.mark.parametrize("harm", ["cut", "changed", "missing"])
def test_damage_is_named(folder: Path, tmp_path: Path, name: str, harm: str) -> None:
    spacy.load(folder).to_disk(tmp_path)
    path = tmp_path / "bert_ner" / name
    content = path.read_bytes()
    if harm == "missing":
        path.unlink()
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] if harm == "cut" else content[:middle] + b"?!" + content[middle + 2 :])
    with pytest.raises(DamagedModelError, match=f"{name} is (missing|damaged)"):
        spacy.load(tmp_path)


@pytest.mark.parametrize("exact", [False, True])
def test_sums_are_wide_where_the_processor_needs_it(exact: bool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def make_session(graph: Graph, threads: int, *, wide: bool) -> GraphSession:
        asked.append(wide)
        return GraphSession(graph, threads, wide=wide)

    monkeypatch.setattr(onnx_shim, "products_are_exact", lambda probe: exact)
    monkeypatch.setattr(onnx_shim, "GraphSession", make_session)
    nlp = spacy.load(folder)
    assert found([nlp(TEXTS[0])])
    assert asked == [not exact] * 2


def test_training_is_refused(nlp: Language) -> None:
    with pytest.raises(ValueError, match="train the pipeline that it was exported from"):
        train(nlp, steps=1)
    with pytest.raises(ValueError, match="add labels to the pipeline that it was exported from"):
        component_of(nlp).add_label("NEW")


def test_nothing_was_exported() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": {"@architectures": "spacy-bert-ner.OnnxClassifier.v1"}})
    with pytest.raises(ValueError, match="the pipeline that it was exported from"):
        nlp.initialize(lambda: examples_of(nlp))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"pieces": "last"}, "pieces"), ({"stride": 200}, "stride = 200"), ({"max_batch_pieces": 0}, "max_batch_pieces")],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    model = {"@architectures": "spacy-bert-ner.OnnxClassifier.v1", **settings}
    with pytest.raises(ValueError, match=message):
        spacy.blank("en").add_pipe("bert_ner", config={"model": model})


def test_windows_longer_than_the_encoder_reads(folder: Path) -> None:
    with pytest.raises(ValueError, match="window = 1024 does not suit the exported encoder"):
        spacy.load(folder, config={"components.bert_ner.model.window": 1024})


def test_calibration_is_written_for_all_clients(nlp: Language, tmp_path: Path) -> None:
    examples = examples_of(nlp)
    for example, prediction in zip(examples, nlp.pipe(example.reference.text for example in examples), strict=True):
        example.reference.ents = prediction.ents
    calibrate(nlp, "bert_ner", examples, [])
    nlp.to_disk(tmp_path)
    described = json.loads((tmp_path / "bert_ner" / "ner.json").read_text(encoding="utf8"))
    assert described["temperature"] == component_of(nlp).cfg["temperature"]
    assert (described["format"], "promise" in described) == (1, False)
    assert confidences(spacy.load(tmp_path).pipe(TEXTS)) == confidences(nlp.pipe(TEXTS))


def test_a_promise_is_written_for_all_clients_and_kept(nlp: Language, tmp_path: Path) -> None:
    component = component_of(nlp)
    (label, *_) = component.labels
    promise = Promise("recall", 0.5, 0.75, True, {label: 0.5}, {label: 0.0625})
    component.cfg["promise"] = promise.to_state()
    try:
        nlp.to_disk(tmp_path)
        described = json.loads((tmp_path / "bert_ner" / "ner.json").read_text(encoding="utf8"))
        assert (described["format"], described["promise"]) == (2, promise.to_state())
        assert component_of(spacy.load(tmp_path)).promise == promise
    finally:
        component.cfg["promise"] = None
