"""One encoder under several components: which weights move in training, and which stay."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.training import Example

from tests.scenarios import (
    HEADS,
    TEXTS,
    encoder_config,
    entities,
    examples_of,
    expected_entities,
    make_pipeline,
    train,
    weights,
)

NAMES = ("tagger", "parser", "textcat", "bert_ner")


def found(nlp: Language) -> list[list[tuple[str, str]]]:
    return [entities(doc) for doc in nlp.pipe(TEXTS)]


def state(nlp: Language) -> dict[str, bytes]:
    return {name: weights(nlp, name) for name in nlp.pipe_names}


def changed(before: dict[str, bytes], nlp: Language) -> set[str]:
    return {name for name, was in before.items() if weights(nlp, name) != was}


def test_four_heads_learn_together_from_one_encoder(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_pipeline(tiny_bert, NAMES)
    before = state(nlp)
    losses = train(nlp, 60)
    assert changed(before, nlp) == {"transformer", *NAMES}
    for name in NAMES:
        assert losses[-1][name] < 0.5 * losses[0][name], name
    nlp.to_disk(tmp_path)
    for pipeline in (nlp, spacy.load(tmp_path)):
        assert found(pipeline) == expected_entities()
        doc = pipeline(TEXTS[1])
        assert [token.tag_ for token in doc] == ["N", "V", "P", "N"]
        assert doc.has_annotation("DEP")
        assert doc.cats["yes"] > 0.5


@pytest.mark.parametrize(
    ("frozen", "moving"),
    [
        (["transformer"], {"tagger", "bert_ner"}),
        (["tagger"], {"transformer", "bert_ner"}),
        (["transformer", "tagger"], {"bert_ner"}),
    ],
)
def test_what_is_frozen_stays(tiny_bert: Path, frozen: list[str], moving: set[str]) -> None:
    nlp = make_pipeline(tiny_bert, ("tagger", "bert_ner"))
    # A head that starts at zero sends the encoder no gradient in the first step.
    train(nlp, 2)
    before = state(nlp)
    train(nlp, 3, exclude=frozen, annotates=["transformer"] if "transformer" in frozen else [])
    assert changed(before, nlp) == moving


def test_a_pretrained_encoder_is_frozen_from_the_start(tiny_bert: Path, tmp_path: Path) -> None:
    encoder = spacy.blank("en")
    encoder.add_pipe("transformer", config=encoder_config(tiny_bert))
    encoder.initialize()
    encoder.to_disk(tmp_path / "encoder")
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", source=spacy.load(tmp_path / "encoder"))
    nlp.add_pipe("bert_ner")
    with nlp.select_pipes(disable="transformer"):
        nlp.initialize(lambda: examples_of(nlp))
    before = state(nlp)
    train(nlp, 60, 0.02, exclude=["transformer"], annotates=["transformer"])
    assert changed(before, nlp) == {"bert_ner"}
    assert found(nlp) == expected_entities()


def test_a_frozen_encoder_without_weights_is_said(tiny_bert: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", config=encoder_config(tiny_bert))
    nlp.add_pipe("bert_ner")
    with nlp.select_pipes(disable="transformer"), pytest.raises(ValueError, match="frozen is not initialized"):
        nlp.initialize(lambda: examples_of(nlp))


def test_a_frozen_last_listener_is_said(tiny_bert: Path) -> None:
    nlp = make_pipeline(tiny_bert, ("tagger", "bert_ner"))
    with pytest.warns(UserWarning, match="encoder learns nothing.*Put it before"):
        train(nlp, 5, exclude=["bert_ner"])


def test_the_mends_that_the_warning_names(tiny_bert: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detached = make_pipeline(tiny_bert, ("tagger", "bert_ner"))
        detached.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
        train(detached, 2)
        before = state(detached)
        train(detached, 4, exclude=["bert_ner"])
        assert changed(before, detached) == {"transformer", "tagger"}

        frozen = make_pipeline(tiny_bert, ("tagger", "bert_ner"))
        before = state(frozen)
        train(frozen, 4, exclude=["bert_ner", "transformer"], annotates=["transformer"])
        assert changed(before, frozen) == {"tagger"}


def test_an_encoder_that_annotates_in_training(tiny_bert: Path) -> None:
    nlp = make_pipeline(tiny_bert)
    losses = train(nlp, 30, annotates=["transformer", "bert_ner"])
    assert losses[-1]["bert_ner"] < 0.3 * losses[0]["bert_ner"]
    assert found(nlp) == expected_entities()


def test_training_is_taken_up_again(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_pipeline(tiny_bert)
    train(nlp, 10)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    before = state(loaded)
    optimizer = loaded.resume_training()
    optimizer.learn_rate = 0.005
    for _ in range(20):
        losses = loaded.update(examples_of(loaded), sgd=optimizer)
    assert changed(before, loaded) == {"transformer", "bert_ner"}
    assert losses["bert_ner"] < 0.3
    assert found(loaded) == expected_entities()


@pytest.mark.parametrize("frozen", [[], ["transformer"]])
def test_a_label_added_to_a_trained_component(tiny_bert: Path, tmp_path: Path, frozen: list[str]) -> None:
    nlp = make_pipeline(tiny_bert)
    train(nlp)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    ner: Any = loaded.get_pipe("bert_ner")
    old = {name: param.copy() for name, param in output_params(ner).items()}
    assert ner.add_label("DATE") == 1
    for name, param in output_params(ner).items():
        assert (param[: len(old[name])] == old[name]).all()
        assert len(param) == len(old[name]) + 2
    gold = [Example.from_dict(loaded.make_doc("said on monday"), {"entities": ["O", "O", "U-DATE"]})]
    optimizer = loaded.resume_training()
    # A head alone learns more slowly.
    optimizer.learn_rate = 0.01 if frozen else 0.005
    for _ in range(60):
        loaded.update(gold + examples_of(loaded), sgd=optimizer, exclude=frozen, annotates=frozen)
    assert entities(loaded("said on monday")) == [("monday", "DATE")]
    assert found(loaded) == expected_entities()
    loaded.to_disk(tmp_path / "again")
    again = spacy.load(tmp_path / "again")
    assert again.get_pipe("bert_ner").labels == ("LOC", "ORG", "PER", "DATE")  # type: ignore[attr-defined]
    assert entities(again("said on monday")) == [("monday", "DATE")]


def output_params(ner: Any) -> dict[str, Any]:
    (layer,) = [node for node in ner.model.get_ref("output_layer").walk() if node.has_param("W")]
    return {name: layer.get_param(name) for name in ("W", "b")}


def test_a_head_added_to_a_trained_pipeline(tiny_bert: Path) -> None:
    nlp = make_pipeline(tiny_bert)
    train(nlp)
    before = state(nlp)
    nlp.add_pipe("tagger", config=HEADS["tagger"], before="bert_ner")
    nlp.get_pipe("tagger").initialize(lambda: examples_of(nlp), nlp=nlp)  # type: ignore[attr-defined]
    losses = train(nlp, 20, exclude=["transformer", "bert_ner"], annotates=["transformer"])
    assert losses[-1]["tagger"] < losses[0]["tagger"]
    assert changed(before, nlp) == set()
    assert found(nlp) == expected_entities()


def test_trained_inside_a_pipeline_whose_other_parts_rest(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("tagger")
    nlp.initialize(lambda: examples_of(nlp))
    nlp.add_pipe("transformer", config=encoder_config(tiny_bert))
    nlp.add_pipe("bert_ner")
    for name in ("transformer", "bert_ner"):
        nlp.get_pipe(name).initialize(lambda: examples_of(nlp), nlp=nlp)  # type: ignore[attr-defined]
    before = state(nlp)
    with nlp.select_pipes(enable=["transformer", "bert_ner"]):
        train(nlp)
    assert changed(before, nlp) == {"transformer", "bert_ner"}
    nlp.to_disk(tmp_path)
    assert found(spacy.load(tmp_path)) == expected_entities()
