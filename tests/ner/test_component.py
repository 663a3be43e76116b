"""The component: labels, gold, output, settings, serialization."""

import pickle
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import Config, Model
from thinc.types import Ragged

from spacy_bert_ner.ner.component import BertNER

CNN = {
    "@architectures": "spacy-bert-ner.TokenClassifier.v1",
    "tok2vec": {
        "@architectures": "spacy.HashEmbedCNN.v2",
        "width": 48,
        "depth": 2,
        "embed_size": 500,
        "window_size": 1,
        "maxout_pieces": 3,
        "subword_features": True,
        "pretrained_vectors": None,
    },
}
TEXTS = [
    ("Peter Blackburn visited New York .", [(0, 15, "PER"), (24, 32, "LOC")]),
    ("BRUSSELS 1996-08-22", [(0, 8, "LOC")]),
    ("Nothing to see here .", []),
    ("The European Commission met Germany and Britain .", [(4, 23, "ORG"), (28, 35, "LOC"), (40, 47, "LOC")]),
    ("West Indian all-rounder Phil Simmons took four for 38 .", [(0, 11, "MISC"), (24, 36, "PER")]),
    ("Ann Bob Carol sang .", [(0, 3, "PER"), (4, 7, "PER"), (8, 13, "PER")]),
]


def examples(nlp: Language) -> list[Example]:
    return [Example.from_dict(nlp.make_doc(text), {"entities": entities}) for text, entities in TEXTS]


def build(model: dict | None = None, **config) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": model or CNN, **config})
    return nlp


def component_of(nlp: Language) -> BertNER:
    component = nlp.get_pipe("bert_ner")
    assert isinstance(component, BertNER)
    return component


def train(nlp: Language, golds: list[Example], steps: int) -> dict[str, float]:
    optimizer = nlp.initialize(lambda: golds)
    optimizer.learn_rate = 0.01
    losses: dict[str, float] = {}
    for _ in range(steps):
        losses = nlp.update(golds, sgd=optimizer, losses={})
    return losses


def entities(doc: Doc) -> list[tuple[int, int, str]]:
    return [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]


@pytest.fixture(scope="module", params=["BIO", "BILUO"])
def trained(request) -> Language:
    nlp = build(scheme=request.param)
    train(nlp, examples(nlp), 40)
    return nlp


def test_learns_a_few_sentences_by_heart(trained):
    assert [entities(doc) for doc in trained.pipe(text for text, _ in TEXTS)] == [gold for _, gold in TEXTS]


def test_a_batch_equals_its_documents_one_by_one(trained):
    texts = [text for text, _ in TEXTS] + ["", " ", "Peter", "\n\n Peter Blackburn \t"]
    batched = [entities(doc) for doc in trained.pipe(texts, batch_size=4)]
    assert batched == [entities(trained(text)) for text in texts]


@pytest.mark.parametrize("how", ["bytes", "disk", "pickle"])
def test_round_trips(trained, how, tmp_path):
    if how == "bytes":
        copied = spacy.blank("en")
        copied.add_pipe("bert_ner", config={"model": CNN, "scheme": component_of(trained).cfg["scheme"]})
        copied.from_bytes(trained.to_bytes())
    elif how == "disk":
        trained.to_disk(tmp_path)
        copied = spacy.load(tmp_path)
    else:
        copied = pickle.loads(pickle.dumps(trained))
    assert component_of(copied).labels == component_of(trained).labels
    assert [entities(copied(text)) for text, _ in TEXTS] == [gold for _, gold in TEXTS]


@pytest.mark.parametrize("text", ["", " ", "\n\n", " Peter Blackburn ", "\u200b", "\x00\x01", "🙂 Peter"])
def test_no_text_fails_and_no_entity_has_outer_whitespace(trained, text):
    for ent in trained(text).ents:
        assert ent.text == ent.text.strip()


def test_whitespace_tokens_are_trimmed_off():
    nlp = build()
    ner = component_of(nlp)
    ner.add_label("PER")
    doc = Doc(nlp.vocab, words=["\n", "Peter", " ", "Blackburn", "\t"])
    nlp.initialize(lambda: [Example(doc.copy(), doc.copy())])
    # O, B-PER, I-PER: everything is one entity.
    scores = Ragged(np.array([[0, 1, 0]] + [[0, 0, 1]] * 4, dtype="f"), np.ones(5, dtype="i"))
    ner.model = Model("fixed", lambda model, docs, is_train: (scores, lambda d_scores: []))
    ner(doc)
    assert [(ent.start, ent.end) for ent in doc.ents] == [(1, 4)]


def test_labels_come_from_the_examples_in_order():
    nlp = build()
    nlp.initialize(lambda: examples(nlp))
    ner = component_of(nlp)
    assert ner.labels == ner.label_data == ("LOC", "MISC", "ORG", "PER")
    assert ner.tags == ["O", "B-LOC", "I-LOC", "B-MISC", "I-MISC", "B-ORG", "I-ORG", "B-PER", "I-PER"]


def test_labels_can_be_given():
    nlp = build()
    nlp.config["initialize"]["components"]["bert_ner"] = {"labels": ["PER", "LOC", "ORG", "MISC"]}
    nlp.initialize(lambda: examples(nlp))
    assert component_of(nlp).labels == ("PER", "LOC", "ORG", "MISC")


def test_errors_of_initialize():
    nlp = build()
    without = [Example.from_dict(nlp.make_doc("No names"), {"entities": []})]
    with pytest.raises(ValueError, match="found no entity type: the training data hold no entities"):
        nlp.initialize(lambda: without)
    nlp = build()
    component_of(nlp).add_label("PER")
    with pytest.raises(ValueError, match="the first ten documents of the training data have no tokens"):
        nlp.initialize(lambda: [Example.from_dict(nlp.make_doc(""), {"entities": []})])


def test_an_unknown_type_in_the_gold_data_is_named():
    nlp = build()
    nlp.initialize(lambda: examples(nlp))
    strange = Example.from_dict(nlp.make_doc("Mars"), {"entities": [(0, 4, "PLANET")]})
    with pytest.raises(ValueError, match="entity of type 'PLANET', but the component's labels are LOC, MISC, ORG, PER"):
        nlp.update([strange])


@pytest.mark.parametrize("label", ["", None, 3])
def test_a_label_is_a_text(label):
    with pytest.raises(ValueError, match="an entity type must be a non-empty text"):
        component_of(build()).add_label(label)


def test_the_lattice_is_built_once_for_the_same_labels(trained):
    ner = component_of(trained)
    assert ner.lattice is ner.lattice
    assert ner.lattice is not component_of(build()).lattice


def test_an_unknown_scheme_is_named():
    with pytest.raises(ValueError, match=r"scheme[\s\S]*'BIO', 'BILUO'"):
        build(scheme="IOB1")


def test_a_scheme_that_the_saved_model_contradicts_is_named(trained, tmp_path):
    trained.to_disk(tmp_path)
    other = {"BIO": "BILUO", "BILUO": "BIO"}[component_of(trained).cfg["scheme"]]
    with pytest.raises(ValueError, match=r"the saved model has \d+ outputs, but scheme"):
        spacy.load(tmp_path, config={"components": {"bert_ner": {"scheme": other}}})


def test_settings_come_from_the_config_at_every_load(trained, tmp_path):
    trained.to_disk(tmp_path)
    nlp = spacy.load(tmp_path, config={"components": {"bert_ner": {"overwrite": True}}})
    assert component_of(nlp).settings.overwrite is True
    assert component_of(nlp).cfg["overwrite"] is True
    assert component_of(nlp).labels == component_of(trained).labels


def test_adding_a_label_keeps_what_was_learnt(trained):
    nlp = pickle.loads(pickle.dumps(trained))
    ner = component_of(nlp)
    docs = [nlp.make_doc(text) for text, _ in TEXTS]
    before: Any = ner.model.predict(docs).dataXd
    assert ner.add_label("PLANET") == 1
    assert ner.add_label("PLANET") == 0
    after: Any = ner.model.predict(docs).dataXd
    assert after.shape[1] == len(ner.tags)
    np.testing.assert_allclose(after[:, : before.shape[1]], before, atol=1e-5)


# What is known of the gold tags of four tokens, and which rows of the gradient may then be other than zero.
MISSING_CASES = [
    ({"entities": [(0, 3, "PER")]}, [True, True, True, True]),
    ({"entities": ["U-PER", "-", "O", "-"]}, [True, False, True, False]),
    ({}, [False, False, False, False]),
]


@pytest.mark.parametrize(("annotation", "known"), MISSING_CASES)
def test_missing_gold_teaches_nothing(annotation, known):
    nlp = build()
    nlp.initialize(lambda: examples(nlp))
    ner = component_of(nlp)
    example = Example.from_dict(nlp.make_doc("Ann saw Bob leave"), annotation)
    scores, _ = ner.model.begin_update([example.predicted])
    loss, d_scores = ner.get_loss([example], scores)
    assert (np.abs(d_scores.dataXd).sum(axis=1) > 0).tolist() == known
    assert (loss > 0) == any(known)


def test_misaligned_gold_teaches_nothing():
    nlp = build()
    nlp.initialize(lambda: examples(nlp))
    ner = component_of(nlp)
    predicted = Doc(nlp.vocab, words=["New", "Yorkers", "sang"])
    reference = Doc(nlp.vocab, words=["New", "York", "ers", "sang"], spaces=[True, False, True, False])
    reference.ents = [Span(reference, 0, 2, "LOC")]
    example = Example(predicted, reference)
    scores, _ = ner.model.begin_update([predicted])
    _, d_scores = ner.get_loss([example], scores)
    assert (np.abs(d_scores.dataXd).sum(axis=1) > 0).tolist() == [False, False, True]


def test_the_gradient_is_that_of_the_loss():
    nlp = build()
    nlp.initialize(lambda: examples(nlp))
    ner = component_of(nlp)
    example = Example.from_dict(nlp.make_doc("Ann saw Bob leave"), {"entities": ["U-PER", "-", "O", "O"]})
    rng = np.random.RandomState(0)
    rows = rng.normal(size=(5, len(ner.tags))).astype("f")
    # Two rows for the first token, as with pieces = "all".
    lengths = np.array([2, 1, 1, 1], dtype="i")
    _, d_rows = ner.get_loss([example], Ragged(rows, lengths))
    for at in [(0, 0), (1, 7), (2, 3), (3, 0), (4, 2)]:
        step = np.zeros_like(rows)
        step[at] = 0.01
        up = ner.get_loss([example], Ragged(rows + step, lengths))[0]
        down = ner.get_loss([example], Ragged(rows - step, lengths))[0]
        assert d_rows.dataXd[at] == pytest.approx((up - down) / 0.02, abs=1e-3)


def test_a_batch_without_tokens_is_no_error():
    nlp = build()
    optimizer = nlp.initialize(lambda: examples(nlp))
    empty = Example.from_dict(nlp.make_doc(""), {"entities": []})
    assert nlp.update([empty], sgd=optimizer) == {"bert_ner": 0.0}
    assert list(nlp.pipe(["", ""]))[1].ents == ()


def test_earlier_entities_stay_unless_overwritten(trained, tmp_path):
    text = TEXTS[0][0]
    trained.to_disk(tmp_path)
    for overwrite, expected in [(False, [(6, 23, "EVENT"), (24, 32, "LOC")]), (True, TEXTS[0][1])]:
        nlp = spacy.load(tmp_path, config={"components": {"bert_ner": {"overwrite": overwrite}}})
        doc = nlp.make_doc(text)
        doc.set_ents([doc.char_span(6, 23, "EVENT")], default="missing")
        assert entities(nlp(doc)) == expected
        assert all(token.ent_iob_ for token in doc)


def test_blocked_tokens_stay_blocked(trained):
    doc = trained.make_doc(TEXTS[0][0])
    doc.set_ents([], blocked=[doc[0:1]], default="missing")
    assert entities(trained(doc)) == [(24, 32, "LOC")]


def test_scores_of_evaluate(trained):
    scores = trained.evaluate(examples(trained))
    assert scores["ents_f"] == 1.0
    assert set(scores["ents_per_type"]) == {"PER", "LOC", "ORG", "MISC"}


def test_the_default_config_is_what_the_factory_takes():
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner")
    config = Config().from_str(nlp.config.to_str())["components"]["bert_ner"]
    assert config["model"]["@architectures"] == "spacy-bert-ner.TokenClassifier.v1"
    assert isinstance(nlp.get_pipe("bert_ner"), BertNER)
    assert "doc.ents" in nlp.get_pipe_meta("bert_ner").assigns
