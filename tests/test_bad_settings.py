"""Settings that cannot be: each stops where the config is resolved or the pipeline initialized, named."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.util import registry

from tests.scenarios import HEADS, encoder_config, examples_of

LISTENER = "spacy-bert-ner.TransformerListener.v1"


def encoder(**settings: Any) -> None:
    model = {"@architectures": "spacy-bert-ner.TransformerModel.v1", "name": "x", **settings}
    spacy.blank("en").add_pipe("transformer", config={"model": model})


def component(**settings: Any) -> None:
    spacy.blank("en").add_pipe("bert_ner", config=settings)


def classifier(**settings: Any) -> None:
    head = {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": {"@architectures": LISTENER}}
    component(model={**head, **settings})


def listener(**settings: Any) -> None:
    classifier(tok2vec={"@architectures": LISTENER, **settings})


def alone(**settings: Any) -> None:
    model = {"@architectures": "spacy-bert-ner.TransformerModel.v1", "name": "x"}
    classifier(tok2vec={"@architectures": "spacy-bert-ner.Tok2VecTransformer.v1", "transformer": model, **settings})


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
    (listener, "upstream", ["", 1, None]),
    (listener, "grad_factor", ["x", None, -1.0, float("inf")]),
    (listener, "grad_fctor", [1.0]),
    (alone, "grad_factor", ["x", None, -1.0]),
    (alone, "pooling", ["x"]),
    (alone, "transformer", [None, "x"]),
    (alone, "transfomer", [None]),
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


@pytest.mark.parametrize(
    ("pipeline", "upstream", "there"),
    [
        (("bert_ner",), "*", "none"),
        (("bert_ner", "transformer"), "*", "none"),
        (("transformer", "bert_ner"), "transfomer", "transformer"),
    ],
)
def test_a_listener_that_nobody_feeds(tiny_bert: Any, pipeline: tuple[str, ...], upstream: str, there: str) -> None:
    nlp = spacy.blank("en")
    tok2vec = {"@architectures": LISTENER, "upstream": upstream}
    ner = {"model": {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": tok2vec}}
    for name in pipeline:
        nlp.add_pipe(name, config=ner if name == "bert_ner" else encoder_config(tiny_bert))
    with pytest.raises(ValueError, match=rf"upstream = '{re.escape(upstream)}'.* are {there}\. Put a"):
        nlp.initialize(lambda: examples_of(nlp))


@pytest.mark.parametrize("labels", ["PER", [1], [""], {"PER": 1}])
def test_labels_of_initialize(tiny_bert: Any, labels: Any) -> None:
    nlp: Language = spacy.blank("en")
    nlp.add_pipe("transformer", config=encoder_config(tiny_bert))
    nlp.add_pipe("bert_ner", config=HEADS["bert_ner"])
    nlp.config["initialize"]["components"]["bert_ner"] = {"labels": labels}
    with pytest.raises(ValueError, match=r"labels|entity type must be a non-empty text"):
        nlp.initialize(lambda: examples_of(nlp))
