"""Settings that cannot be: each stops where the config is resolved or the pipeline initialized, named."""

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.util import registry
from spacy.vocab import Vocab
from thinc.api import Config, Model

from spacy_bert_ner.ner.component import DEFAULT_CONFIG, BertNER
from spacy_bert_ner.ner.component_settings import ComponentSettings
from tests.scenarios import LISTENER, encoder_config, examples_of, shared_config

ENCODER = {"@architectures": "spacy-bert-ner.Encoder.v1", "name": "x"}


def encoder(**settings: Any) -> None:
    classifier(tok2vec={**ENCODER, **settings})


def component(**settings: Any) -> None:
    spacy.blank("en").add_pipe("bert_ner", config=settings)


def classifier(**settings: Any) -> None:
    head = {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": ENCODER}
    component(model={**head, **settings})


def tok2vec(**settings: Any) -> None:
    model = {"@architectures": "spacy-bert-ner.Tok2Vec.v1", "width": 32, "encoder": ENCODER, **settings}
    spacy.blank("en").add_pipe("tok2vec", config={"model": model})


def optimizer(**settings: Any) -> None:
    registry.resolve({"optimizer": {"@optimizers": "spacy-bert-ner.AdamW.v1", **settings}})


# Wrong types, out of range, contradictory, misspelt: a new setting is a row.
BAD: list[tuple[Callable[..., None], str, list[Any]]] = [
    (encoder, "name", [1, "", None]),
    (encoder, "window", ["64", 64.5, True, 0, -1, None, "x", 95]),
    (encoder, "stride", ["96", "a", 0, -3, 1.5, 129]),
    (encoder, "max_batch_pieces", [0, -5, "many", 1.5]),
    (encoder, "precision", ["fp8", 32, None]),
    (encoder, "case_features", ["yes", 2]),
    (encoder, "document_memory", ["yes", 2]),
    (encoder, "hidden_dropout", [1.0, -0.1, "x"]),
    (encoder, "word_dropout", [1.0, -0.1, "x", None]),
    (encoder, "trainable", ["maybe", None, 2]),
    (encoder, "freeze_layers", [-1, 1.5, "x", None]),
    (encoder, "tokenizer_config", ["x", [1], {"trust_remote_code": True}, {"auto_map": {"AutoTokenizer": "a.B"}}]),
    (encoder, "transformer_config", ["x", {"trust_remote_code": True}, {"auto_map": {"AutoModel": "a.B"}}]),
    (encoder, "windw", [64]),
    (component, "scheme", ["IOB1", 1, None]),
    (component, "overwrite", ["maybe", 3]),
    (component, "annotate_ents", [None, "x"]),
    (component, "spans_key", ["", 5]),
    (component, "threshold", [1.5, -0.1, "high", None]),
    (component, "sentence_boundaries", ["x", None]),
    (component, "loss", ["crf", 1]),
    (component, "scorer", ["x"]),
    (component, "treshold", [0.5]),
    (classifier, "pieces", ["last", 1, None]),
    (classifier, "nO", [0, -3, "x", 1.5]),
    (classifier, "tok2vec", [None, "x"]),
    (classifier, "piece", ["first"]),
    (tok2vec, "width", [0, -1, "x", 1.5, None]),
    (tok2vec, "pooling", ["last", "all", 1, None]),
    (tok2vec, "encoder", [None, "x"]),
    (tok2vec, "widht", [32]),
    (optimizer, "learn_rate", ["x", -1.0, float("nan"), None]),
    (optimizer, "head_factor", ["x", -1.0, float("nan")]),
    (optimizer, "layer_decay", ["x", 0.0, 1.5, -1]),
    (optimizer, "beta1", ["x", 1.0, -0.1]),
    (optimizer, "beta2", ["x", 1.0, 2]),
    (optimizer, "eps", ["x", 0.0, -1]),
    (optimizer, "weight_decay", ["x", -1]),
    (optimizer, "grad_clip", ["x", -1, float("nan")]),
    (optimizer, "lr", [1e-3]),
]


def rows() -> Iterator[Any]:
    for use, name, values in BAD:
        for value in values:
            yield pytest.param(use, name, value, id=f"{use.__name__} {name}={value!r}")


@pytest.mark.parametrize(("use", "name", "value"), list(rows()))
def test_a_bad_setting_is_named(use: Callable[..., None], name: str, value: Any) -> None:
    # spaCy's own error for names and types is a ValueError too; NaN and infinity it does not let into a config.
    with pytest.raises(ValueError, match=rf"\b{name}\b|E961"):
        use(**{name: value})


def test_from_python_too() -> None:
    model: Model = Model("none", lambda *given: given)
    for settings in ({"scheme": "IOBES"}, {"loss": "crf"}, {"threshold": 2.0}):
        with pytest.raises(ValueError, match=rf"^\[components.mine\] {next(iter(settings))} = "):
            BertNER(Vocab(), model, "mine", settings=ComponentSettings(**settings))


def test_the_factorys_defaults_are_those_of_the_settings() -> None:
    defaults = Config().from_str(DEFAULT_CONFIG)["bert_ner"]
    assert {name: defaults[name] for name in asdict(ComponentSettings())} == asdict(ComponentSettings())


@pytest.mark.parametrize(
    ("pipeline", "upstream", "there"),
    [
        (("bert_ner",), "*", "none"),
        (("bert_ner", "tok2vec"), "*", "none"),
        (("tok2vec", "bert_ner"), "tok2vce", "tok2vec"),
    ],
)
def test_a_listener_that_nobody_feeds(tiny_bert: Any, pipeline: tuple[str, ...], upstream: str, there: str) -> None:
    nlp = spacy.blank("en")
    ner = {"model": {"tok2vec": {**LISTENER, "upstream": upstream}}}
    for name in pipeline:
        nlp.add_pipe(name, config=ner if name == "bert_ner" else shared_config(tiny_bert))
    with pytest.raises(ValueError, match=rf"upstream = '{re.escape(upstream)}'.* are {there}\. Put a"):
        nlp.initialize(lambda: examples_of(nlp))


@pytest.mark.parametrize("labels", ["PER", [1], [""], {"PER": 1}])
def test_labels_of_initialize(tiny_bert: Any, labels: Any) -> None:
    nlp: Language = spacy.blank("en")
    nlp.add_pipe("bert_ner", config=encoder_config(tiny_bert))
    nlp.config["initialize"]["components"]["bert_ner"] = {"labels": labels}
    with pytest.raises(ValueError, match=r"labels|entity type must be a non-empty text"):
        nlp.initialize(lambda: examples_of(nlp))
