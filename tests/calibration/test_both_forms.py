"""Calibration on both forms of the dev set: annotated tokens and raw text."""

from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Corpus, Example

from spacy_bert_ner.calibration.entities import judge_entities
from spacy_bert_ner.calibration.workflow import balanced_fit, calibrate
from spacy_bert_ner.evaluation import evaluate
from spacy_bert_ner.rawtext.retokenizing import both_forms
from tests.scenarios import CNN

WORDS = ["the", "of", "said", "Ann", "Rome", "Lee", "Kay-Ann", "York", "(", ")", "."]


def write_corpus(path: Path, seed: int) -> Path:
    """Names that are places or people by chance, some of them cut by spaCy's tokenizer."""
    rng, docs, vocab = np.random.default_rng(seed), [], spacy.blank("en").vocab
    for _ in range(40):
        words = [str(word) for word in rng.choice(WORDS, 12)]
        doc = Doc(vocab, words=words)
        names = [i for i, word in enumerate(words) if word[0].isupper()]
        doc.set_ents([Span(doc, i, i + 1, str(rng.choice(["PER", "LOC"]))) for i in names], default="outside")
        docs.append(doc)
    DocBin(docs=docs).to_disk(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network, trained on both forms. RETURNS (Path): The folder with model and dev set."""
    folder = tmp_path_factory.mktemp("calibration")
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": CNN}})
    examples = list(Corpus(write_corpus(folder / "train.spacy", 0), augmenter=both_forms)(nlp))
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    for _ in range(10):
        nlp.update([Example(eg.predicted.copy(), eg.reference) for eg in examples], sgd=optimizer)
    nlp.to_disk(folder / "model")
    write_corpus(folder / "dev.spacy", 1)
    return folder


def load(folder: Path) -> tuple[Language, list[Example], list[Doc]]:
    nlp = spacy.load(folder / "model")
    train = [eg.reference for eg in Corpus(folder / "train.spacy")(nlp)]
    return nlp, list(Corpus(folder / "dev.spacy")(nlp)), train


def test_entities_are_judged_as_they_are_put_out() -> None:
    """White space at their ends is taken off, which gold entities that have some cannot match."""
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": CNN}})
    gold = Doc(nlp.vocab, words=["the", "\n", "Ann", "said", "\n\n", "of"])
    gold.set_ents([Span(gold, 1, 3, "PER"), Span(gold, 4, 5, "LOC")], default="outside")

    def examples() -> list[Example]:
        return [Example(Doc(nlp.vocab, words=[token.text for token in gold]), gold)]

    optimizer = nlp.initialize(examples)
    optimizer.learn_rate = 0.01
    for _ in range(40):
        nlp.update(examples(), sgd=optimizer)
    batch = nlp.get_pipe("bert_ner").decode([examples()[0].predicted])  # type: ignore[attr-defined]
    assert list(zip(batch.start, batch.end, strict=True)) == [(1, 3), (4, 5)]
    (found,) = nlp.pipe([examples()[0].predicted])
    judged = judge_entities(nlp, "bert_ner", examples())
    assert judged.text == [ent.text for ent in found.ents] == ["Ann"]
    assert judged.right.tolist() == [False]


def test_both_forms_of_a_document_are_one_document(folder: Path) -> None:
    nlp, dev, _ = load(folder)
    entities = judge_entities(nlp, "bert_ner", [form for eg in dev for form in both_forms(nlp, eg)])
    once = judge_entities(nlp, "bert_ner", Corpus(folder / "dev.spacy")(nlp))
    np.testing.assert_array_equal(entities.document[~entities.raw], once.document)
    np.testing.assert_array_equal(entities.right[~entities.raw], once.right)
    assert set(entities.document[entities.raw]) <= set(range(len(dev)))
    assert entities.raw.sum() > len(once.text) // 2
    # In raw text the entity is three tokens, and right where it is found whole.
    assert any(right for right, text in zip(entities.right, entities.text, strict=True) if text == "Kay-Ann")
    assert len(once.text) == (~entities.raw).sum()


def test_each_form_counts_half(folder: Path) -> None:
    nlp, dev, _ = load(folder)
    twice = judge_entities(nlp, "bert_ner", [form for eg in dev for form in both_forms(nlp, eg)])
    first = np.flatnonzero(~twice.raw)
    once = judge_entities(nlp, "bert_ner", Corpus(folder / "dev.spacy")(nlp))
    weighed, plain = (balanced_fit(own, set(), 2) for own in (twice, once))
    # Half the entities at half the weight are drawn to the common offset more than all of them at the whole.
    spread = [np.ptp(fit(chosen).offsets) for fit, chosen in ((weighed, first), (plain, np.arange(len(first))))]
    assert 0 < spread[0] < spread[1]


def test_calibrating_looks_at_both_forms_whatever_it_is_given(folder: Path) -> None:
    nlp, dev, train = load(folder)
    assert not evaluate(nlp, folder / "dev.spacy", show_progress=False).metrics["calibrated"]
    measures = calibrate(nlp, "bert_ner", dev, train)
    for part in (measures, measures["raw_text"]):
        assert part["before"]["entities"] == part["after"]["entities"] > 50
        assert part["after"]["mean_score"] != part["before"]["mean_score"]
    found = evaluate(nlp, folder / "dev.spacy", show_progress=False).metrics
    assert found["calibrated"]
    assert found["raw_text"]["scores"]["summary"]["entities"] == measures["raw_text"]["before"]["entities"]
    other, dev, train = load(folder)
    doubled = [form for eg in dev for form in both_forms(other, eg)]
    assert calibrate(other, "bert_ner", doubled, train) == measures


def test_what_is_found_in_text_without_annotation_is_neither_right_nor_wrong(folder: Path) -> None:
    nlp, dev, train = load(folder)
    every = calibrate(nlp, "bert_ner", dev[:20], train)
    # Twenty further documents of which nothing is annotated.
    nlp, dev, train = load(folder)
    for example in dev[20:]:
        example.reference.set_ents([], default="missing")
    assert calibrate(nlp, "bert_ner", dev, train) == every
    # Half a document: what is found there does not count either, as in the evaluation.
    nlp, dev, train = load(folder)
    for example in dev:
        kept = [ent for ent in example.reference.ents if ent.start >= 6]
        example.reference.set_ents(kept, missing=[example.reference[:6]], default="outside")
    DocBin(docs=[example.reference for example in dev]).to_disk(folder / "half.spacy")
    measures = calibrate(nlp, "bert_ner", dev, train)
    found = evaluate(nlp, folder / "half.spacy", show_progress=False).metrics
    assert measures["before"]["entities"] == found["scores"]["summary"]["entities"]
    assert measures["raw_text"]["before"]["entities"] == found["raw_text"]["scores"]["summary"]["entities"]
