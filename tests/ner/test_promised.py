"""A component that keeps a promise: which entities it sets, and what becomes of the promise."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, DocBin

from spacy_bert_ner.decoding import span_posteriors
from spacy_bert_ner.ner.annotations import cut_overlaps, get_confidence
from spacy_bert_ner.ner.promise import Promise
from spacy_bert_ner.storage.models import DamagedModelError
from spacy_bert_ner.tags import Entity
from tests.decoding.test_decoding import all_spans
from tests.ner.test_annotations import SCORES, WORDS, build
from tests.scenarios import examples_of, make_pipeline


def promise(measure: str, **thresholds: float) -> dict[str, Any]:
    shares = dict.fromkeys(thresholds, 0.5)
    return Promise(measure, 0.75, 0.75, True, shares, thresholds).to_state()


def places(doc: Doc) -> list[tuple[int, int, str]]:
    return [(ent.start, ent.end, ent.label_) for ent in doc.ents]


@pytest.mark.parametrize(
    ("thresholds", "kept"),
    [
        ({"LOC": 0.4}, 2),
        ({"LOC": 0.9}, 1),
        ({"PER": 0.9}, 2),
        ({"PER": 0.999}, 1),
        ({"PER": 1.0, "LOC": 1.0}, 0),
        ({}, 2),
    ],
)
def test_a_promised_precision_leaves_out_what_is_under_its_types_threshold(
    thresholds: dict[str, float], kept: int
) -> None:
    nlp, component = build()
    component.cfg["promise"] = promise("precision", **thresholds)
    doc = nlp(Doc(nlp.vocab, words=WORDS))
    assert len(doc.ents) == len(doc.spans["bert_ner"]) == kept
    nlp, component = build(keep_promise=False)
    component.cfg["promise"] = promise("precision", **thresholds)
    assert len(nlp(Doc(nlp.vocab, words=WORDS)).ents) == 2


def test_a_promised_precision_and_a_threshold_both_hold() -> None:
    nlp, component = build(threshold=0.9)
    component.cfg["promise"] = promise("precision", PER=0.999)
    assert places(nlp(Doc(nlp.vocab, words=WORDS))) == []


@pytest.mark.parametrize("offset", [0.0, 1.0, -1.0])
@pytest.mark.parametrize("least", [0.01, 0.1, 0.3])
def test_a_promised_recall_adds_every_span_that_is_probable_enough(least: float, offset: float) -> None:
    nlp, component = build()
    component.cfg |= {"promise": promise("recall", LOC=least, PER=2 * least), "offsets": {"LOC": offset}}
    doc = nlp(Doc(nlp.vocab, words=WORDS))
    every = all_spans(component.lattice, [5])
    judged = span_posteriors(component.lattice, SCORES, [5], every).shift(np.array([offset, 0.0])).posterior
    wanted = judged >= np.where(every.label == 0, least, 2 * least)
    expected = {(s, e, x) for _, s, e, x in np.stack(every).T[wanted].tolist()} | {(0, 2, 1), (3, 4, 0)}
    group = doc.spans["bert_ner"]
    assert {(x.start, x.end, component.labels.index(x.label_)) for x in group} == expected
    assert all(get_confidence(span) == score for span, score in zip(group, group.attrs["scores"], strict=True))
    # The best tags' entities are there whole, and no token of the others is lost.
    assert {(0, 2, "PER"), (3, 4, "LOC")} <= set(places(doc))
    assert {i for ent in doc.ents for i in range(ent.start, ent.end)} == {
        i for s, e, _ in expected for i in range(s, e)
    }
    assert all(token.ent_iob_ for token in doc)


def test_a_promised_recall_concerns_its_types_alone_and_no_threshold_hides_what_is_added() -> None:
    nlp, component = build()
    component.cfg["promise"] = promise("recall", PER=0.05)
    doc = nlp(Doc(nlp.vocab, words=WORDS))
    assert [(x.start, x.end, x.label_) for x in doc.spans["bert_ner"]] == [(0, 2, "PER"), (3, 4, "LOC"), (3, 4, "PER")]
    assert places(doc) == [(0, 2, "PER"), (3, 4, "LOC")]
    nlp, component = build(threshold=0.4)
    component.cfg["promise"] = promise("recall", PER=0.05)
    assert len(nlp(Doc(nlp.vocab, words=WORDS)).spans["bert_ner"]) == 2


def test_what_is_added_survives_a_docbin() -> None:
    nlp, component = build()
    component.cfg["promise"] = promise("recall", LOC=0.01, PER=0.01)
    doc = nlp(Doc(nlp.vocab, words=WORDS))
    (copy,) = DocBin().from_bytes(DocBin(docs=[doc], store_user_data=True).to_bytes()).get_docs(nlp.vocab)
    before, after = doc.spans["bert_ner"], copy.spans["bert_ner"]
    assert len(before) > 3
    assert [get_confidence(span) for span in after] == [get_confidence(span) for span in before]


def test_the_first_entity_gets_a_token_and_the_others_keep_what_is_left() -> None:
    doc = Doc(spacy.blank("en").vocab, words=["the", "Bank", "of", " ", "England", "said"])
    entities = [Entity(0, 5, "ORG"), Entity(1, 3, "ORG"), Entity(2, 4, "LOC"), Entity(4, 5, "LOC"), Entity(5, 6, "PER")]
    assert cut_overlaps(doc, entities, [1, 4, 2, 3, 0]) == [
        Entity(0, 1, "ORG"),
        Entity(1, 3, "ORG"),
        Entity(4, 5, "LOC"),
        Entity(5, 6, "PER"),
    ]
    assert cut_overlaps(doc, entities, [0, 1, 2, 3, 4]) == [Entity(0, 5, "ORG"), Entity(5, 6, "PER")]
    assert cut_overlaps(doc, [], []) == []


def test_a_promise_is_saved_and_training_ends_it(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_pipeline(tiny_bert)
    component: Any = nlp.get_pipe("bert_ner")
    component.cfg["promise"] = promise("recall", LOC=0.0625)
    nlp.to_disk(tmp_path / "model")
    other: Any = spacy.load(tmp_path / "model").get_pipe("bert_ner")
    assert other.promise == component.promise == Promise("recall", 0.75, 0.75, True, {"LOC": 0.5}, {"LOC": 0.0625})
    assert component.from_bytes(other.to_bytes()).promise == other.promise
    nlp.update(examples_of(nlp), sgd=nlp.resume_training())
    assert component.promise is None


@pytest.mark.parametrize(
    "broken",
    [
        {"measure": "f1"},
        {"least": 2.0},
        {"certainty": None},
        {"by_type": "yes"},
        {"thresholds": {"LOC": float("nan")}},
        {"thresholds": {"MISC": 0.5}, "promised": {"MISC": 0.5}},
        {"thresholds": {}},
        {"thresholds": [0.5]},
        {"longest": 0},
        {"unheard-of": 1},
    ],
)
def test_a_promise_that_saving_could_not_have_written_is_refused(broken: dict[str, Any]) -> None:
    _, component = build()
    state = {**promise("precision", LOC=0.5), **broken}
    with pytest.raises(ValueError, match="promise"):
        Promise.from_state(state, component.labels)
    component.cfg["promise"] = state
    with pytest.raises(DamagedModelError, match="promise"):
        component._check_loaded()
