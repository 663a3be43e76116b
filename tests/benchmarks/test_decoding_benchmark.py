"""The measuring of decoding and confidences, on a tiny pipeline."""

import importlib.util
import json
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Corpus, Example

from spacy_bert_ner.calibration import summarise
from spacy_bert_ner.decoding import Lattice
from spacy_bert_ner.tags import get_scheme, read_entities
from tests.scenarios import CNN

FILE = Path(__file__).parents[2] / "benchmarks" / "decoding.py"


def load() -> ModuleType:
    """Import the script, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("decoding_benchmark", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


benchmark = load()


def write_corpus(path: Path, seed: int) -> None:
    """Names of one to three words among others, so ambiguous that a small network errs."""
    rng, docs, vocab = random.Random(seed), [], spacy.blank("en").vocab
    for _ in range(40):
        words, spans = [], []
        for _ in range(rng.randint(3, 8)):
            words += rng.choices(["the", "of", "said", "a", "."], k=rng.randint(0, 3))
            length = rng.randint(1, 3)
            spans.append((len(words), len(words) + length, rng.choice(["PER", "LOC"])))
            words += rng.choices(["Ann", "Rome", "Lee", "York", "Kay"], k=length)
        doc = Doc(vocab, words=words)
        doc.set_ents([Span(doc, *span) for span in spans], default="outside")
        docs.append(doc)
    DocBin(docs=docs).to_disk(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a little, measure. RETURNS (Path): The folder with model, corpora and figures."""
    folder = tmp_path_factory.mktemp("benchmark")
    for seed, name in enumerate(("train", "dev", "test")):
        write_corpus(folder / f"{name}.spacy", seed)
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": CNN}})
    examples = list(Corpus(folder / "train.spacy")(nlp))
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    for _ in range(12):
        nlp.update([Example(eg.predicted.copy(), eg.reference) for eg in examples], sgd=optimizer)
    nlp.to_disk(folder / "model")
    corpora = [str(folder / f"{name}.spacy") for name in ("train", "dev", "test")]
    benchmark.main([str(folder / "model"), *corpora, str(folder / "out" / "figures.json"), "--timed", "20"])
    return folder


def test_viterbis_f1_is_what_spacy_evaluates(run: Path) -> None:
    figures = json.loads((run / "out" / "figures.json").read_text())
    nlp = spacy.load(run / "model")
    for split in ("dev", "test"):
        found = figures["f1"][split]
        wanted = nlp.evaluate(list(Corpus(run / f"{split}.spacy")(nlp)))
        assert found["viterbi"] == pytest.approx({name: wanted[f"ents_{name[0]}"] for name in found["viterbi"]})
        # Otherwise the decoders would have nothing to differ in.
        assert 0 < found["ill_formed"] < found["tokens"]
        assert found["argmax"] != found["viterbi"]


def test_confidences_are_those_of_the_pipeline(run: Path) -> None:
    figures = json.loads((run / "out" / "figures.json").read_text())["confidence"]
    nlp = spacy.load(run / "model")
    component: Any = nlp.get_pipe("bert_ner")
    for when in ("before", "after"):
        scores, right = [], []
        for eg in Corpus(run / "test.spacy")(nlp):
            gold = {(ent.start, ent.end, ent.label_) for ent in eg.reference.ents}
            group = nlp(eg.predicted).spans["bert_ner"]
            scores += group.attrs["scores"].tolist()
            right += [(ent.start, ent.end, ent.label_) in gold for ent in group]
        wanted = summarise(np.array(scores), np.array(right))
        # The benchmark interpolates scores between temperatures. Where two of nearly equal score change places over the
        # edge of two bins of equal mass, the calibration error changes by up to 2 / entities; the curve and the area
        # stand on the whole order.
        tolerance = {"ece": 2 / len(scores)}
        for name in ("entities", "precision", "mean_score", "brier", "ece"):
            assert figures["test"][when][name] == pytest.approx(wanted[name], abs=tolerance.get(name, 5e-4)), name
        component.cfg["temperature"], component.cfg["offsets"] = figures["temperature"], figures["offsets"]
    whole = figures["test"]["risk_at_coverage"]["1.0"]
    assert whole == pytest.approx(1 - figures["test"]["after"]["precision"])


def test_decodings_share_of_the_time_is_a_share(run: Path) -> None:
    spent = json.loads((run / "out" / "figures.json").read_text())["time"]
    assert spent["documents"] == 20
    assert 0 < spent["viterbi"] + spent["posteriors"] == pytest.approx(spent["share"] * spent["pipe"])


@settings(max_examples=40)
@given(name=st.sampled_from(["BILUO", "BIO"]), sizes=st.lists(st.integers(0, 5), max_size=4), seed=st.integers(0, 99))
def test_repaired_tags_are_legal_and_the_best_ones_where_those_are(name: str, sizes: list[int], seed: int) -> None:
    lattice = Lattice(get_scheme(name), ("PER", "LOC"))
    scores = np.random.default_rng(seed).normal(size=(sum(sizes), len(lattice.tags)))
    tags = benchmark.repair(lattice, scores, np.array(sizes, dtype=int))
    start = 0
    for size in sizes:
        names = [lattice.tags[tag] for tag in tags[start : start + size]]
        best = [lattice.tags[tag] for tag in scores[start : start + size].argmax(axis=1)]
        assert lattice.scheme.encode(read_entities(names), size) == names
        if lattice.scheme.encode(read_entities(best), size) == best:
            assert names == best
        start += size
