"""Posteriors of annotated and other spans, against the pipeline's own confidences."""

from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_bert_ner.auditing.judging import judge_annotation
from spacy_bert_ner.auditing.places import LEAST_POSTERIOR
from spacy_bert_ner.tags import Entity
from tests.commands.tiny import save_model

TEXT = "Jane Smith lives in Paris. Omar Haddad left Acme Tools in Oslo."


@pytest.fixture(scope="module")
def nlp(tmp_path_factory: pytest.TempPathFactory) -> Language:
    nlp = spacy.load(save_model(tmp_path_factory.mktemp("model")))
    # As calibration would set it.
    component: Any = nlp.get_pipe("bert_ner")
    component.cfg.update(temperature=1.5, offsets={"PER": 0.5, "LOC": -0.5, "ORG": 0.0})
    return nlp


def entities(doc: Doc) -> list[Entity]:
    return [Entity(ent.start, ent.end, ent.label_) for ent in doc.ents]


def test_posteriors_are_the_pipelines_confidences(nlp: Language) -> None:
    found = nlp(TEXT)
    gold = nlp.make_doc(TEXT)
    gold.set_ents([])
    empty = nlp.make_doc("")
    judged = list(judge_annotation(nlp, "bert_ner", [gold, empty, gold]))
    assert (judged[1].gold, judged[1].posterior) == ((), {})
    assert judged[0].posterior == pytest.approx(judged[2].posterior)
    assert len(found.ents) >= 4
    for ent, entity in zip(found.ents, entities(found), strict=True):
        assert judged[0].posterior[entity] == pytest.approx(ent._.confidence, abs=1e-5)
    assert min(judged[0].posterior.values()) >= LEAST_POSTERIOR


def test_annotated_entities_are_judged_however_improbable(nlp: Language) -> None:
    gold = nlp.make_doc(TEXT)
    gold.set_ents([Span(gold, 2, 4, "ORG"), Span(gold, 4, 5, "PLANET")])
    (judged,) = judge_annotation(nlp, "bert_ner", [gold])
    assert judged.gold == (Entity(2, 4, "ORG"),)
    assert judged.unjudged == (Entity(4, 5, "PLANET"),)
    assert judged.posterior[Entity(2, 4, "ORG")] < LEAST_POSTERIOR
    # What overlaps an entity that cannot be judged is no reading either.
    assert not any(entity.start <= 4 < entity.end for entity in judged.posterior)


def test_spans_without_annotation_are_left_out(nlp: Language) -> None:
    found = entities(nlp(TEXT))
    gold = nlp.make_doc(TEXT)
    known = [Span(gold, found[0].start, found[0].end - 1, found[0].label)]
    gold.set_ents(known, default="missing")
    (judged,) = judge_annotation(nlp, "bert_ner", [gold])
    # Only what contradicts the one entity that is annotated.
    assert found[0] in judged.posterior
    assert all(entity.start < known[0].end for entity in judged.posterior)


def test_a_component_that_merges_tokens_is_refused(nlp: Language, tmp_path: Path) -> None:
    merging = spacy.load(save_model(tmp_path))
    merging.add_pipe("entity_ruler", first=True).add_patterns([{"label": "X", "pattern": "Jane Smith"}])  # type: ignore[attr-defined]
    merging.add_pipe("merge_entities", after="entity_ruler")
    gold = nlp.make_doc(TEXT)
    gold.set_ents([Span(gold, 0, 1, "PER")])
    with pytest.raises(ValueError, match="merges or splits tokens"):
        list(judge_annotation(merging, "bert_ner", [gold]))
