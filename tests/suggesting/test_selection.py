"""The choice among texts, against the definition; entropies by enumeration of all tag sequences."""

from itertools import product
from math import log
from pathlib import Path

import numpy as np
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.language import Language

from spacy_bert_ner.suggesting.selection import WAYS, choose_texts_to_annotate, uncertainty, weigh_types
from spacy_bert_ner.suggesting.text_doubts import TextDoubts, binary_entropy, judge_texts
from spacy_bert_ner.tags import read_entities
from tests.commands.tiny import save_model


def text(vector: list[float], entropy: list[float], words: int = 10, expected: list[float] | None = None) -> TextDoubts:
    amounts = np.array(expected or [1.0] * len(entropy))
    return TextDoubts(words, np.array(entropy), amounts, np.array(vector, dtype=np.float32), ())


EAST, NORTH, WEST, SOUTH = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]


@pytest.mark.parametrize(
    ("by", "expected"),
    [("uncertainty", [1, 0, 2, 3]), ("diversity", [0, 2, 1, 3]), ("both", [1, 3, 0, 2])],
)
def test_ways(by: str, expected: list[int]) -> None:
    texts = [text(EAST, [2.0]), text(NORTH, [3.0]), text(WEST, [1.9]), text(SOUTH, [1.8])]
    assert choose_texts_to_annotate(texts, 4, by, []) == expected


@pytest.mark.parametrize("by", WAYS)
def test_what_is_nearly_the_same_is_left_out(by: str) -> None:
    texts = [text(EAST, [2.0]), text([1.0, 0.01], [3.0]), text(WEST, [1.0]), text(NORTH, [1.0]), text(SOUTH, [1.0])]
    chosen = choose_texts_to_annotate(texts, 9, by, [])
    assert len({0, 1} & set(chosen)) == 1
    assert {2, 3, 4} < set(chosen)
    known = choose_texts_to_annotate(texts, 9, by, [text(EAST, [9.0])])
    assert sorted(known) == [2, 3, 4]


def test_words_are_what_costs() -> None:
    texts = [text(EAST, [2.0], words=10), text(WEST, [3.0], words=20), text(NORTH, [0.0], words=0)]
    assert uncertainty(texts, np.ones(1)).tolist() == pytest.approx([0.2, 0.15, 0.0])
    assert choose_texts_to_annotate(texts, 5, "uncertainty") == [0, 1]


def test_doubtful_rare_types_come_first() -> None:
    common, rare = text(EAST, [1.0, 0.0], expected=[99.0, 0.0]), text(WEST, [0.0, 1.0], expected=[0.0, 3.0])
    weights = weigh_types([common, rare])
    assert weights[1] / weights[0] == pytest.approx((100 / 4) ** 0.5)
    assert choose_texts_to_annotate([common, rare], 2, "uncertainty") == [1, 0]


def test_no_texts() -> None:
    assert choose_texts_to_annotate([], 3, "both") == []
    assert choose_texts_to_annotate([text([], [0.0], words=0)], 3, "both") == []


numbers = st.floats(-5, 5, width=32)


@given(st.data(), st.sampled_from(WAYS), st.integers(1, 12))
def test_the_choice_is_the_greedy_one(data: st.DataObject, by: str, count: int) -> None:
    rows = data.draw(st.lists(st.tuples(numbers, numbers, st.floats(0, 2), st.integers(0, 9)), max_size=12))
    texts = [text([a, b], [h], words) for a, b, h, words in rows]
    chosen = choose_texts_to_annotate(texts, count, by)
    assert len(set(chosen)) == len(chosen) <= count
    assert all(texts[i].words for i in chosen)
    # A smaller choice is the beginning of a larger one.
    assert choose_texts_to_annotate(texts, max(1, count // 2), by) == chosen[: max(1, count // 2)]


@given(st.floats(0, 1))
def test_binary_entropy(p: float) -> None:
    expected = -sum(q * log(q) for q in (p, 1 - p) if q > 0)
    assert float(binary_entropy(np.array([p]))[0]) == pytest.approx(expected, abs=1e-9)


@pytest.fixture(scope="module")
def nlp(tmp_path_factory: pytest.TempPathFactory) -> Language:
    return spacy.load(save_model(tmp_path_factory.mktemp("model")))


def test_entropies_are_those_of_all_sequences(nlp: Language) -> None:
    """Posteriors as sums over every legal sequence of a short text, at the component's calibration."""
    component = nlp.get_pipe("bert_ner")
    component.cfg.update(temperature=2.0, offsets={"PER": 0.4})  # type: ignore[attr-defined]
    doc = nlp.make_doc("Omar Rivet met")
    (judged,) = judge_texts(nlp, "bert_ner", [doc])
    batch = component.decode([nlp.make_doc(doc.text)])  # type: ignore[attr-defined]
    tags, labels = batch.lattice.tags, batch.lattice.labels
    logits = batch.logits / 2.0
    legal = [
        (names, sum(logits[i, tags.index(name)] for i, name in enumerate(names)))
        for names in product(tags, repeat=len(doc))
        if batch.lattice.scheme.encode(read_entities(names), len(names)) == list(names)
    ]
    chances = np.exp([value for _, value in legal])
    chances /= chances.sum()
    posterior: dict[tuple[int, int, str], float] = {}
    for (names, _), chance in zip(legal, chances, strict=True):
        for entity in read_entities(names):
            posterior[entity] = posterior.get(entity, 0.0) + float(chance)
    entropy, expected = np.zeros(len(labels)), np.zeros(len(labels))
    for (_, _, label), p in posterior.items():
        factor = np.exp(0.4 if label == "PER" else 0.0)
        p = p * factor / (1 + p * (factor - 1))
        if p >= 0.01:
            entropy[labels.index(label)] -= p * log(p) + (1 - p) * log(1 - p) if p < 1 else 0
            expected[labels.index(label)] += p
    np.testing.assert_allclose(judged.entropy, entropy, atol=1e-4)
    np.testing.assert_allclose(judged.expected, expected, atol=1e-4)
    assert judged.entropy.sum() > 0.1


def test_texts_are_judged_alike_in_any_batch(nlp: Language, tmp_path: Path) -> None:
    texts = ["Jane Smith lives in Paris.", "", "Nobody was there.", "In Lagos, Rivet Bank opened an office."]
    together = list(judge_texts(nlp, "bert_ner", map(nlp.make_doc, texts)))
    assert [each.words for each in together] == [len(nlp.make_doc(each)) for each in texts]
    for each, own in zip(together, texts, strict=True):
        (alone,) = judge_texts(nlp, "bert_ner", [nlp.make_doc(own)])
        np.testing.assert_allclose(alone.vector, each.vector, atol=1e-4)
        np.testing.assert_allclose(alone.entropy, each.entropy, atol=1e-4)
        found = nlp(own)
        assert [span[:3] for span in each.entities] == [(e.start_char, e.end_char, e.label_) for e in found.ents]
        assert [span.confidence for span in each.entities] == pytest.approx(
            [ent._.confidence for ent in found.ents], abs=1e-4
        )
