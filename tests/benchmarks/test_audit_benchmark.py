"""The audit's benchmark: what is broken is what it says, and is counted once."""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import spacy

from spacy_bert_ner.tags import Entity
from tests.auditing.corpora import make_corpus, save
from tests.benchmarks.test_small_data import load
from tests.commands.tiny import save_corpus, save_model

benchmark = load("audit")


def entities(doc: Any) -> set[Entity]:
    return {Entity(ent.start, ent.end, ent.label_) for ent in doc.ents}


@pytest.mark.parametrize("seed", range(5))
def test_what_is_broken(seed: int) -> None:
    before, docs = make_corpus(), make_corpus()
    broken = benchmark.Breaker(docs, seed).run(0.25)
    assert len(broken) == round(0.25 * sum(len(doc.ents) for doc in before))
    counts = Counter(each.kind for each in broken)
    assert max(counts.values()) - min(counts[kind] for kind in benchmark.KINDS) <= 1
    for i, (old, new) in enumerate(zip(before, docs, strict=True)):
        own = [each for each in broken if each.document == i]
        differing = entities(old) ^ entities(new)
        # Every difference is within one broken place, and every place differs as its kind says.
        for ent in differing:
            assert sum(each.start <= ent.start and ent.end <= each.end for each in own) == 1
        for each in own:
            lost, made = (
                [ent for ent in some if each.start <= ent.start and ent.end <= each.end]
                for some in (entities(old) - entities(new), entities(new) - entities(old))
            )
            match each.kind:
                case "type":
                    assert lost[0][:2] == made[0][:2]
                    assert lost[0].label != made[0].label
                case "boundary":
                    assert lost[0].label == made[0].label
                    assert abs(len(range(*lost[0][:2])) - len(range(*made[0][:2]))) == 1
                case "dropped":
                    assert (len(lost), made) == (1, [])
                case _:
                    assert (lost, len(made)) == ([], 1)


def test_the_same_seed_breaks_the_same() -> None:
    drawn = [benchmark.Breaker(make_corpus(), seed).run(0.2) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_precision_is_counted() -> None:
    broken = [benchmark.Broken(0, 2, 4, "type"), benchmark.Broken(1, 0, 1, "dropped")]
    doubts = [
        {"document": 0, "tokens": [3, 5], "kind": "type"},
        {"document": 0, "tokens": [0, 1], "kind": "missing"},
        {"document": 1, "tokens": [0, 1], "kind": "missing"},
    ]
    figures = benchmark.count(doubts, broken)
    assert figures["precision at the number broken"] == figures["precision at 100"] == 0.5
    assert figures["found by kind"] == {"type": 1.0, "dropped": 0.0}
    assert figures["not broken by kind"] == {"missing": 1}


def test_a_model_is_measured_once(tmp_path: Path) -> None:
    model = save_model(tmp_path)
    corpus = save_corpus(tmp_path / "dev.spacy")
    args = argparse.Namespace(corpus=corpus, work=tmp_path / "work", model=str(model), config=None, folds=5, share=0.2)
    figures = benchmark.measure(args, 0, [])
    assert figures["broken"] == round(0.2 * figures["entities"]) or figures["broken"] > 0
    assert figures["ranked"]["precision at the number broken"] >= 0.5
    assert (tmp_path / "work" / "seed-0" / "to-read.jsonl").exists()
    model.rename(tmp_path / "gone")
    assert benchmark.measure(args, 0, []) == json.loads(json.dumps(figures))


def test_folds_get_the_broken_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.cfg"
    spacy.blank("en").config.to_disk(config)
    called: list[list[str]] = []
    monkeypatch.setattr(benchmark.subprocess, "run", lambda command, **_: called.append(command))
    monkeypatch.setattr(benchmark, "locate_corpus", lambda config: ("corpora.train.path", None))
    args = argparse.Namespace(config=config, model=None, folds=3)
    save(tmp_path / "broken.spacy", make_corpus())
    benchmark.run_audit(args, tmp_path, ["--paths.encoder", "e"])
    (command,) = called
    assert command[1:5] == ["-m", "spacy_bert_ner", "audit", str(config)]
    assert command[command.index("--corpora.train.path") + 1] == str(tmp_path / "broken.spacy")
    assert command[-2:] == ["--paths.encoder", "e"]
