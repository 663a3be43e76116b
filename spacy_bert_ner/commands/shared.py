"""The form of a config in which several components share the encoder, through spaCy's `tok2vec`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thinc.api import Config

# The encoder's section in a config that does not share it, and in one that does.
OWN, SHARED = "components.bert_ner.model.tok2vec", "components.tok2vec.model.encoder"
LISTENER = {
    "@architectures": "spacy.Tok2VecListener.v1",
    "width": "${components.tok2vec.model.width}",
    "upstream": "tok2vec",
}


def with_sharing(config: "Config", width: int) -> "Config":
    """Move the encoder out of `bert_ner` into a `tok2vec` that it listens to, as other components may.

    config (Config): A training config, variables not yet filled in.
    width (int): The width of the encoder's vectors.
    RETURNS (Config): A changed copy.
    """
    changed = config.copy()
    components = changed["components"]
    encoder = components["bert_ner"]["model"]["tok2vec"]
    components["bert_ner"]["model"]["tok2vec"] = dict(LISTENER)
    model: dict[str, Any] = {"@architectures": "spacy-bert-ner.Tok2Vec.v1", "width": width, "encoder": encoder}
    changed["components"] = {"tok2vec": {"factory": "tok2vec", "model": model}, **components}
    changed["nlp"]["pipeline"] = ["tok2vec", *changed["nlp"]["pipeline"]]
    return changed
