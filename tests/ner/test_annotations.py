"""Confidences: where they are stored, how they are read, what they survive."""

import pickle

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from thinc.api import Model
from thinc.types import Ragged

from spacy_bert_ner.ner.annotations import install_extension
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.decoded import DecodedBatch
from tests.scenarios import CNN

WORDS = ["Peter", "Blackburn", "visited", "Paris", "."]
# Columns: O, B-LOC, I-LOC, B-PER, I-PER. The first entity is sure, the second one less so.
SCORES = np.array(
    [[0, 0, 0, 5, 0], [0, 0, 0, 0, 5], [5, 0, 0, 0, 0], [1.0, 2.0, 0, 1.5, 0], [5, 0, 0, 0, 0]], dtype="f"
)


def fixed_scores(model: Model, docs: list[Doc], is_train: bool):
    scores = np.concatenate([np.resize(SCORES, (len(doc), 5)) for doc in docs])
    return Ragged(scores, np.ones(len(scores), dtype="i")), lambda d_scores: []


def build(**config) -> tuple[Language, BertNER]:
    nlp = spacy.blank("en")
    component: BertNER = nlp.add_pipe("bert_ner", config=config)  # type: ignore[assignment]
    component.model = Model("fixed", fixed_scores)
    component.cfg["labels"] = ["LOC", "PER"]
    return nlp, component


def confidences(doc: Doc) -> list[float | None]:
    return [ent._.confidence for ent in doc.ents]


def test_scores_are_those_of_all_legal_sequences():
    nlp, _ = build()
    doc = nlp(Doc(nlp.vocab, words=WORDS))
    group = doc.spans["bert_ner"]
    assert [(span.start, span.end, span.label_) for span in group] == [(0, 2, "PER"), (3, 4, "LOC")]
    assert group.attrs["scores"].dtype == np.float32
    assert group.attrs["scores"][0] > 0.95 > group.attrs["scores"][1] > 0.4
    assert group.attrs["runner_up"] == ["LOC", "PER"]
    assert (group.attrs["any_label"] >= group.attrs["scores"]).all()
    assert confidences(doc) == pytest.approx(group.attrs["scores"].tolist())
    assert doc[2:3]._.confidence is None


def test_no_spans_key_no_group():
    nlp, _ = build(spans_key=None)
    doc = nlp(Doc(nlp.vocab, words=WORDS))
    assert len(doc.ents) == 2
    assert dict(doc.spans) == {}
    assert confidences(doc) == [None, None]


def test_confidences_survive_a_docbin_bytes_and_pickle():
    nlp, _ = build()
    doc = nlp(Doc(nlp.vocab, words=WORDS))
    binned = DocBin(docs=[doc], store_user_data=True).to_bytes()
    copies = [
        next(iter(DocBin().from_bytes(binned).get_docs(nlp.vocab))),
        Doc(nlp.vocab).from_bytes(doc.to_bytes()),
        pickle.loads(pickle.dumps(doc)),
    ]
    for copied in copies:
        assert confidences(copied) == pytest.approx(confidences(doc))


@pytest.mark.parametrize(("threshold", "kept"), [(0.0, 2), (0.9, 1), (1.0, 0)])
def test_entities_under_the_threshold_are_outside(threshold, kept):
    nlp, _ = build(threshold=threshold)
    doc = nlp(Doc(nlp.vocab, words=WORDS))
    assert len(doc.ents) == len(doc.spans["bert_ner"]) == kept
    assert all(token.ent_iob_ for token in doc)


@pytest.mark.parametrize("threshold", [-0.1, 1.5])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(ValueError, match=r"\[components.bert_ner\] threshold = .* must lie between 0 and 1"):
        build(threshold=threshold)


def test_a_higher_temperature_makes_scores_less_sure_and_changes_no_entity():
    nlp, component = build()
    cold = nlp(Doc(nlp.vocab, words=WORDS))
    component.cfg["temperature"] = 2.0
    warm = nlp(Doc(nlp.vocab, words=WORDS))
    assert [ent.text for ent in cold.ents] == [ent.text for ent in warm.ents]
    assert (warm.spans["bert_ner"].attrs["scores"] < cold.spans["bert_ner"].attrs["scores"]).all()


def test_an_offset_moves_the_log_odds_of_its_type_and_changes_no_entity():
    nlp, component = build()
    old_doc = nlp(Doc(nlp.vocab, words=WORDS))
    before = old_doc.spans["bert_ner"]
    label = before[0].label_
    component.cfg["offsets"] = {label: -1.0}
    new_doc = nlp(Doc(nlp.vocab, words=WORDS))
    after = new_doc.spans["bert_ner"]
    assert [(ent.text, ent.label_) for ent in after] == [(ent.text, ent.label_) for ent in before]
    old, new = (np.array(group.attrs["scores"], dtype=float) for group in (before, after))
    moved = np.log(new / (1 - new)) - np.log(old / (1 - old))
    assert moved == pytest.approx([-1.0 if ent.label_ == label else 0.0 for ent in before], abs=1e-3)
    assert (after.attrs["any_label"] >= after.attrs["scores"]).all()


@pytest.mark.parametrize(("by_sentence", "first"), [(True, (0, 1)), (False, (0, 2))])
def test_sentence_boundaries_end_entities_where_asked_for(by_sentence, first):
    nlp, _ = build(sentence_boundaries=by_sentence)
    # The second sentence begins inside what would be the first entity.
    doc = nlp(Doc(nlp.vocab, words=WORDS, sent_starts=[True, True, False, False, False]))
    assert (doc.ents[0].start, doc.ents[0].end) == first


def test_a_batch_finds_each_documents_own_entities():
    nlp, component = build()
    docs = [Doc(nlp.vocab, words=words) for words in ([], WORDS, WORDS[:1], [], WORDS + WORDS)]
    found = [[(e.start, e.end, e.label) for e in p.entities] for p in component.predict(docs)]
    alone = [[(e.start, e.end, e.label) for e in component.predict([doc])[0].entities] for doc in docs]
    assert found == alone
    assert [len(one) for one in found] == [0, 2, 1, 0, 4]


def test_sentences_of_a_batch_are_counted_within_their_documents():
    nlp, component = build()
    starts = [True, False, False, True, False]
    docs = [Doc(nlp.vocab, words=WORDS), Doc(nlp.vocab, words=WORDS, sent_starts=starts), Doc(nlp.vocab, words=WORDS)]
    batch = component.decode(docs)
    assert isinstance(batch, DecodedBatch)
    assert batch.lengths.tolist() == [5, 3, 2, 5]
    assert list(zip(batch.doc, batch.start, batch.end, strict=True)) == [
        (i, *s) for i in range(3) for s in ((0, 2), (3, 4))
    ]


def test_a_users_own_extension_of_that_name_stays():
    Span.remove_extension("confidence")
    Span.set_extension("confidence", default="mine")
    try:
        install_extension()
        nlp, _ = build()
        assert confidences(nlp(Doc(nlp.vocab, words=WORDS))) == ["mine", "mine"]
    finally:
        Span.remove_extension("confidence")
        install_extension()


def test_find_threshold_can_set_it(tmp_path):
    from spacy.cli.find_threshold import find_threshold

    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": CNN}})
    doc = nlp.make_doc("Ann sang")
    gold = Example.from_dict(doc, {"entities": [(0, 3, "PER")]})
    nlp.initialize(lambda: [gold])
    nlp.to_disk(tmp_path / "model")
    DocBin(docs=[gold.reference]).to_disk(tmp_path / "dev.spacy")
    best, _, scores = find_threshold(
        str(tmp_path / "model"), tmp_path / "dev.spacy", "bert_ner", "threshold", "ents_f", n_trials=3, silent=True
    )
    assert set(scores) == {0.0, 0.5, 1.0}
    assert scores[1.0] == 0.0
    assert best in scores
