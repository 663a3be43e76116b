"""Encoders inside `bert_ner` and under several components: which weights move in training, and which stay."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bert_ner.encoder.freezing import layer_of
from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.encoder.shim import EncoderShim
from spacy_bert_ner.training.optimizer import build_adamw
from tests.scenarios import (
    HEADS,
    TEXTS,
    WIDTH,
    encoder_config,
    entities,
    examples_of,
    expected_entities,
    make_pipeline,
    shared_config,
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


def encoder_shim(nlp: Language) -> EncoderShim:
    return get_shim(nlp.get_pipe("bert_ner").model.get_ref("tok2vec"))  # type: ignore[attr-defined]


def parameters(nlp: Language) -> dict[str, Any]:
    return {name: param.detach().clone() for name, param in encoder_shim(nlp).encoder.named_parameters()}


# --- one component ---------------------------------------------------------------------------------------------------


def test_training_is_taken_up_again(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_pipeline(tiny_bert)
    train(nlp, 10)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    before, moments = parameters(loaded), state(loaded)
    optimizer = loaded.resume_training()
    optimizer.learn_rate = 0.005
    for _ in range(20):
        losses = loaded.update(examples_of(loaded), sgd=optimizer)
    assert changed(moments, loaded) == {"bert_ner"}
    assert any((param != before[name]).any() for name, param in parameters(loaded).items())
    assert losses["bert_ner"] < 0.3
    assert found(loaded) == expected_entities()


def test_sourcing_shares_the_encoder(tiny_bert: Path) -> None:
    nlp = make_pipeline(tiny_bert)
    train(nlp, 5)
    other = spacy.blank("en")
    other.add_pipe("bert_ner", source=nlp)
    before = state(nlp)
    train(other, 2)
    assert changed(before, nlp) == {"bert_ner"}
    assert weights(other, "bert_ner") == weights(nlp, "bert_ner")


def test_an_encoder_that_is_not_trainable_stays_and_costs_no_graph(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_pipeline(tiny_bert, trainable=False, hidden_dropout=0.5)
    before = parameters(nlp)
    optimizer = build_adamw(0.05)
    losses = train(nlp, 60, 0.05)
    assert all((param == before[name]).all() for name, param in parameters(nlp).items())
    assert all(param.grad is None for param in encoder_shim(nlp).encoder.parameters())
    assert losses[-1]["bert_ner"] < 0.5 * losses[0]["bert_ner"]
    nlp.update(examples_of(nlp), sgd=optimizer)
    assert {name for _, name in optimizer._known} == {"W", "b"}
    # Its vectors are those of prediction, without dropout.
    ner: Any = nlp.get_pipe("bert_ner")
    docs = [nlp.make_doc(text) for text in TEXTS]
    trained, _ = ner.model.get_ref("tok2vec").begin_update(docs)
    np.testing.assert_array_equal(trained.data, ner.model.get_ref("tok2vec").predict(docs).data)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    train(loaded, 2)
    assert found(loaded) == found(nlp)


@pytest.mark.parametrize("case_features", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_frozen_layers_stay(tiny_bert: Path, count: int, case_features: bool) -> None:
    settings: dict[str, Any] = {"case_features": case_features, "document_memory": True}
    nlp = make_pipeline(tiny_bert, freeze_layers=count, **settings)
    before = parameters(nlp)
    assert {layer_of(name) for name in before} >= {-1, 0, 1}
    train(nlp, 5)
    for name, param in parameters(nlp).items():
        moved = bool((param != before[name]).any())
        if name.startswith(("casing.", "memory.")):
            continue
        assert moved == (layer_of(name) >= count), name
    assert case_features == any(
        name.startswith("casing.") and bool((param != before[name]).any()) for name, param in parameters(nlp).items()
    )


def test_frozen_components_freeze_head_and_encoder(tiny_bert: Path) -> None:
    nlp = make_pipeline(tiny_bert)
    nlp.add_pipe("tagger").initialize(lambda: examples_of(nlp), nlp=nlp)  # type: ignore[attr-defined]
    before = state(nlp)
    train(nlp, 3, exclude=["bert_ner"])
    assert changed(before, nlp) == {"tagger"}


def test_each_parameter_has_its_rate(tiny_bert: Path) -> None:
    nlp = make_pipeline(tiny_bert, case_features=True, document_memory=True)
    optimizer = build_adamw(0.01, head_factor=7.0, layer_decay=0.5)
    nlp.update(examples_of(nlp), sgd=optimizer)
    optimizer.step_schedules()
    factors = {key[1]: optimizer._factor(parameter) for key, parameter in optimizer._known.items()}
    module = encoder_shim(nlp).encoder
    assert {"casing.weight", "memory.add.weight"} <= module.new_parameters
    assert all(name.startswith(("casing.", "memory.")) for name in module.new_parameters)
    encoder = {name for name, param in module.named_parameters() if param.requires_grad}
    assert set(factors) <= encoder | {"W", "b"}
    assert {"W", "b", "casing.weight"} <= set(factors)
    assert any(name.startswith("memory.") for name in encoder)
    for name, factor in factors.items():
        if name in ("W", "b") or name.startswith(("casing.", "memory.")):
            assert factor == 7.0, name
        else:
            # Two layers above the embeddings.
            assert factor == 0.5 ** (1 - layer_of(name)), name
            assert "." in name


# --- one encoder for several components ------------------------------------------------------------------------------


def test_four_heads_learn_together_from_one_encoder(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_pipeline(tiny_bert, NAMES)
    before = state(nlp)
    losses = train(nlp, 60)
    assert changed(before, nlp) == {"tok2vec", *NAMES}
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
        (["tok2vec"], {"tagger", "bert_ner"}),
        (["tagger"], {"tok2vec", "bert_ner"}),
        (["tok2vec", "tagger"], {"bert_ner"}),
    ],
)
def test_what_is_frozen_stays(tiny_bert: Path, tmp_path: Path, frozen: list[str], moving: set[str]) -> None:
    nlp = make_pipeline(tiny_bert, ("tagger", "bert_ner"))
    # A head that starts at zero sends the encoder no gradient in the first step.
    train(nlp, 2)
    nlp.to_disk(tmp_path)
    nlp = spacy.load(tmp_path)
    before = state(nlp)
    train(nlp, 3, exclude=frozen, annotates=["tok2vec"] if "tok2vec" in frozen else [])
    assert changed(before, nlp) == moving


def test_what_spacy_itself_refuses(tiny_bert: Path) -> None:
    nlp = make_pipeline(tiny_bert, ("tagger", "bert_ner"))
    empty = [Example.from_dict(Doc(nlp.vocab, words=[]), {})]
    with pytest.raises(ValueError, match="E203"):
        nlp.update(examples_of(nlp) + empty, sgd=False, exclude=["tok2vec"], annotates=["tok2vec"])
    train(nlp, 2)
    other = examples_of(nlp)[:1]
    with pytest.raises(ValueError, match="E953"):
        nlp.update(other, sgd=False, exclude=["tok2vec"], annotates=["tok2vec"])


def test_a_frozen_last_listener_is_said(tiny_bert: Path) -> None:
    nlp = make_pipeline(tiny_bert, ("tagger", "bert_ner"))
    with pytest.warns(UserWarning, match="encoder is not trained.*Put it before"):
        train(nlp, 5, exclude=["bert_ner"])


def test_the_fixes_that_the_warning_names(tiny_bert: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detached = make_pipeline(tiny_bert, ("tagger", "bert_ner"))
        detached.replace_listeners("tok2vec", "bert_ner", ["model.tok2vec"])
        train(detached, 2)
        before = state(detached)
        train(detached, 4, exclude=["bert_ner"])
        assert changed(before, detached) == {"tok2vec", "tagger"}

        frozen = make_pipeline(tiny_bert, ("tagger", "bert_ner"))
        before = state(frozen)
        train(frozen, 4, exclude=["bert_ner", "tok2vec"], annotates=["tok2vec"])
        assert changed(before, frozen) == {"tagger"}


def test_an_encoder_of_its_own_after_sharing(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_pipeline(tiny_bert, ("tagger", "bert_ner"))
    train(nlp)
    nlp.replace_listeners("tok2vec", "bert_ner", ["model.tok2vec"])
    assert found(nlp) == expected_entities()
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path, exclude=["tok2vec", "tagger"])
    assert found(loaded) == expected_entities()


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_vectors_stand_on_the_doc_and_are_its_own(tiny_bert: Path, pooling: str) -> None:
    nlp = spacy.blank("en")
    config = shared_config(tiny_bert)
    config["model"]["pooling"] = pooling
    nlp.add_pipe("tok2vec", config=config)
    nlp.initialize()
    docs = list(nlp.pipe([*TEXTS, ""]))
    for doc in docs:
        assert doc.tensor.shape == (len(doc), WIDTH)
        assert doc.tensor.dtype == np.float32
        assert doc.tensor.base is None
    assert np.isfinite(docs[0][1].vector).all()
    np.testing.assert_array_equal(docs[0][1:3].as_doc().tensor, docs[0].tensor[1:3])
    encoder: Any = nlp.get_pipe("tok2vec").model.get_ref("encoder")  # type: ignore[attr-defined]
    vectors = encoder.predict(docs[:1])
    first = np.cumsum(vectors.pieces) - vectors.pieces
    if pooling == "first":
        np.testing.assert_allclose(docs[0].tensor, vectors.data[first], atol=1e-5)
    else:
        np.testing.assert_allclose(
            docs[0].tensor, np.add.reduceat(vectors.data, first) / vectors.pieces[:, None], atol=1e-5
        )


def test_the_cleaner_leaves_an_empty_array(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_pipeline(tiny_bert, ("tagger", "bert_ner"))
    nlp.add_pipe("tensor_cleaner")
    nlp.to_disk(tmp_path)
    for doc in spacy.load(tmp_path).pipe([*TEXTS, ""], n_process=2):
        assert isinstance(doc.tensor, np.ndarray)
        assert doc.tensor.size == 0
        assert doc.vector is not None
        assert doc[:1].as_doc() is not None
        assert all(token.vector is not None for token in doc)
        assert Doc(doc.vocab).from_bytes(doc.to_bytes()).text == doc.text


@pytest.mark.parametrize(
    ("width", "message"), [(31, r"width = 31: .* have 32 numbers\. Set width = 32"), (0, "width = 0")]
)
def test_a_wrong_width_is_refused(tiny_bert: Path, width: int, message: str) -> None:
    config = shared_config(tiny_bert)
    config["model"]["width"] = width

    def make() -> None:
        nlp = spacy.blank("en")
        nlp.add_pipe("tok2vec", config=config)
        nlp.initialize()

    with pytest.raises(ValueError, match=message):
        make()


def test_the_width_is_known_once_loaded(tiny_bert: Path, tmp_path: Path) -> None:
    make_pipeline(tiny_bert, ("tagger",)).to_disk(tmp_path)
    model = spacy.load(tmp_path).get_pipe("tok2vec").model  # type: ignore[attr-defined]
    assert model.get_dim("nO") == model.get_ref("encoder").get_dim("nO") == WIDTH


@pytest.mark.parametrize("trainable", [True, False])
def test_a_label_added_to_a_trained_component(tiny_bert: Path, tmp_path: Path, trainable: bool) -> None:
    nlp = make_pipeline(tiny_bert)
    train(nlp)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path, config={"components.bert_ner.model.tok2vec.trainable": trainable})
    ner: Any = loaded.get_pipe("bert_ner")
    old = {name: param.copy() for name, param in output_params(ner).items()}
    assert ner.add_label("DATE") == 1
    for name, param in output_params(ner).items():
        assert (param[: len(old[name])] == old[name]).all()
        assert len(param) == len(old[name]) + 2
    gold = [Example.from_dict(loaded.make_doc("said on monday"), {"entities": ["O", "O", "U-DATE"]})]
    optimizer = loaded.resume_training()
    # A head alone learns more slowly.
    optimizer.learn_rate = 0.005 if trainable else 0.01
    for _ in range(60):
        loaded.update(gold + examples_of(loaded), sgd=optimizer)
    assert entities(loaded("said on monday")) == [("monday", "DATE")]
    assert found(loaded) == expected_entities()
    loaded.to_disk(tmp_path / "again")
    again = spacy.load(tmp_path / "again")
    assert again.get_pipe("bert_ner").labels == ("LOC", "ORG", "PER", "DATE")  # type: ignore[attr-defined]
    assert entities(again("said on monday")) == [("monday", "DATE")]


def output_params(ner: Any) -> dict[str, Any]:
    (layer,) = [node for node in ner.model.get_ref("output_layer").walk() if node.has_param("W")]
    return {name: layer.get_param(name) for name in ("W", "b")}


def test_a_head_added_to_a_trained_pipeline(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_pipeline(tiny_bert, ("tagger", "bert_ner"))
    train(nlp)
    nlp.to_disk(tmp_path)
    nlp = spacy.load(tmp_path)
    before = state(nlp)
    nlp.add_pipe("textcat", config=HEADS["textcat"])
    nlp.get_pipe("textcat").initialize(lambda: examples_of(nlp), nlp=nlp)  # type: ignore[attr-defined]
    losses = train(nlp, 20, exclude=["tok2vec", "tagger", "bert_ner"], annotates=["tok2vec"])
    assert losses[-1]["textcat"] < losses[0]["textcat"]
    assert changed(before, nlp) == set()
    assert found(nlp) == expected_entities()


def test_trained_inside_a_pipeline_whose_other_parts_rest(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("tagger")
    nlp.initialize(lambda: examples_of(nlp))
    nlp.add_pipe("bert_ner", config=encoder_config(tiny_bert))
    nlp.get_pipe("bert_ner").initialize(lambda: examples_of(nlp), nlp=nlp)  # type: ignore[attr-defined]
    before = state(nlp)
    with nlp.select_pipes(enable=["bert_ner"]):
        train(nlp)
    assert changed(before, nlp) == {"bert_ner"}
    nlp.to_disk(tmp_path)
    assert found(spacy.load(tmp_path)) == expected_entities()
