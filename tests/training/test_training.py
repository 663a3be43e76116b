"""How many steps so many epochs are."""

import pytest
import spacy
from spacy.tokens import Doc, DocBin
from thinc.api import Config

from spacy_bert_ner.training import StepPlan, count_batches, plan_steps
from spacy_bert_ner.training.plan import read_annotated

# epoch, epochs, evaluations -> plan
CASES = [
    ((240, 3, 12), StepPlan(240, total=720, warmup=72, evaluation=60, patience=360)),
    ((4, 20, 12), StepPlan(4, total=77, warmup=7, evaluation=7, patience=38)),
    ((1, 1, 12), StepPlan(1, total=1, warmup=1, evaluation=1, patience=2)),
    ((10, 0.5, 2), StepPlan(10, total=4, warmup=1, evaluation=2, patience=3)),
]


@pytest.mark.parametrize(("arguments", "plan"), CASES)
def test_plans(arguments, plan):
    assert plan_steps(*arguments) == plan


def test_the_last_step_is_evaluated_and_the_total_is_near_what_was_asked():
    for epoch in (1, 3, 7, 50, 239):
        for epochs in (1, 2.5, 10):
            for evaluations in (1, 4, 12):
                plan = plan_steps(epoch, epochs, evaluations)
                assert plan.total % plan.evaluation == 0
                assert abs(plan.total - epoch * epochs) <= plan.evaluation / 2 + 0.5
                assert 1 <= plan.warmup <= plan.total


@pytest.mark.parametrize("arguments", [(0, 3, 12), (5, 0, 12), (5, 3, 0)])
def test_numbers_must_be_positive(arguments):
    with pytest.raises(ValueError, match="must all be positive"):
        plan_steps(*arguments)


def test_overrides_name_what_spacy_train_reads():
    config = Config().from_disk("configs/bert.cfg", interpolate=False)
    for name in plan_steps(10, 3, 12).overrides():
        section = config
        *path, last = name.split(".")
        for part in path:
            section = section[part]
        assert last in section, name


def test_batches_are_counted_as_the_config_makes_them(tmp_path):
    nlp = spacy.blank("en")
    docs = []
    for length in (40, 60, 100, 30, 170):
        doc = Doc(nlp.vocab, words=["word"] * length)
        doc.set_ents([])
        docs.append(doc)
    DocBin(docs=docs).to_disk(tmp_path / "train.spacy")
    config = Config().from_disk("configs/bert.cfg", interpolate=False)
    config["training"]["batcher"] = {
        "@batchers": "spacy.batch_by_words.v1",
        "size": 100,
        "tolerance": 0.0,
        "discard_oversize": False,
    }
    # 40 + 60, 100, 30, 170
    config["paths"]["train"] = str(tmp_path / "train.spacy")
    assert count_batches(config, read_annotated(config)) == 4
