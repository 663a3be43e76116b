"""Pipelines as users have them, small: what the scenario tests share."""

from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_bert_ner.training.optimizer import build_adamw

LINES = [
    (["Jane", "met", "IBM"], ["U-PER", "O", "U-ORG"], ["N", "V", "N"]),
    (["IBM", "works", "near", "Paris"], ["U-ORG", "O", "O", "U-LOC"], ["N", "V", "P", "N"]),
    (["the", "unlucky", "Londoners"], ["O", "O", "O"], ["D", "A", "N"]),
]
TEXTS = ["Jane met IBM", "IBM works near Paris", "the unlucky Londoners"]
# A tok2vec without a transformer.
CNN = {
    "@architectures": "spacy.HashEmbedCNN.v2",
    "width": 16,
    "depth": 1,
    "embed_size": 100,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": True,
    "pretrained_vectors": None,
}
# What listens to a shared encoder, of the tests' width.
WIDTH = 32
LISTENER = {"@architectures": "spacy.Tok2VecListener.v1", "width": WIDTH, "upstream": "tok2vec"}
HEADS: dict[str, dict[str, Any]] = {
    "tagger": {"model": {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": LISTENER}},
    "parser": {
        "min_action_freq": 1,
        "model": {
            "@architectures": "spacy.TransitionBasedParser.v2",
            "state_type": "parser",
            "extra_state_tokens": False,
            "hidden_width": 16,
            "maxout_pieces": 1,
            "use_upper": False,
            "tok2vec": LISTENER,
        },
    },
    "textcat": {
        "model": {
            "@architectures": "spacy.TextCatReduce.v1",
            "exclusive_classes": True,
            "use_reduce_first": False,
            "use_reduce_last": False,
            "use_reduce_max": False,
            "use_reduce_mean": True,
            "tok2vec": LISTENER,
        }
    },
    "bert_ner": {"model": {"tok2vec": LISTENER}},
}


def encoder_block(folder: Path, **settings: Any) -> dict[str, Any]:
    """An encoder's section of a config."""
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    block = {"@architectures": "spacy-bert-ner.Encoder.v1", "name": str(folder), "precision": "fp32"}
    return {**block, "window": 64, "stride": 48, "transformer_config": still, **settings}


def encoder_config(folder: Path, **settings: Any) -> dict[str, Any]:
    """The config of a `bert_ner` with its encoder."""
    return {"model": {"tok2vec": encoder_block(folder, **settings)}}


def shared_config(folder: Path, **settings: Any) -> dict[str, Any]:
    """The config of a `tok2vec` with an encoder for several components."""
    encoder = encoder_block(folder, **settings)
    return {"model": {"@architectures": "spacy-bert-ner.Tok2Vec.v1", "width": WIDTH, "encoder": encoder}}


def make_pipeline(
    folder: Path, components: tuple[str, ...] = ("bert_ner",), lang: str = "en", **settings: Any
) -> Language:
    """An initialized pipeline: a `bert_ner` with its encoder, or several components that share one."""
    fix_random_seed(0)
    nlp = spacy.blank(lang)
    if components == ("bert_ner",):
        nlp.add_pipe("bert_ner", config=encoder_config(folder, **settings))
    else:
        nlp.add_pipe("tok2vec", config=shared_config(folder, **settings))
        for name in components:
            nlp.add_pipe(name, config=HEADS[name])
    nlp.initialize(lambda: examples_of(nlp))
    return nlp


def examples_of(nlp: Language) -> list[Example]:
    examples = []
    for words, entities, tags in LINES:
        gold = {
            "entities": entities,
            "tags": tags,
            "cats": {"yes": float("IBM" in words), "no": float("IBM" not in words)},
        }
        tree = {"heads": [1] * len(words), "deps": ["ROOT" if i == 1 else "dep" for i in range(len(words))]}
        examples.append(Example.from_dict(Doc(nlp.vocab, words=words), {**gold, **tree}))
    return examples


def train(nlp: Language, steps: int = 30, rate: float = 0.005, **settings: Any) -> list[dict[str, float]]:
    """Steps as spaCy's training loop makes them. RETURNS: Each step's losses."""
    optimizer = build_adamw(rate)
    losses = []
    for _ in range(steps):
        losses.append(nlp.update(examples_of(nlp), sgd=False, **settings))
        for name, component in nlp.pipeline:
            if name not in settings.get("exclude", ()) and hasattr(component, "finish_update"):
                component.finish_update(optimizer)
        optimizer.step_schedules()
    return losses


def entities(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def expected_entities() -> list[list[tuple[str, str]]]:
    return [[(words[i], tag[2:]) for i, tag in enumerate(tags) if tag != "O"] for words, tags, _ in LINES]


def weights(nlp: Language, name: str) -> bytes:
    return nlp.get_pipe(name).model.to_bytes()  # type: ignore[attr-defined]
