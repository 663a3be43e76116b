"""What a config says whose encoder several components share, by spaCy's `tok2vec`."""

import json
from pathlib import Path
from typing import Any

from thinc.api import Config
from wasabi import msg

# Where the encoder stands in a config that does not share it, and in one that does.
OWN, SHARED = "components.bert_ner.model.tok2vec", "components.tok2vec.model.encoder"
LISTENER = {
    "@architectures": "spacy.Tok2VecListener.v1",
    "width": "${components.tok2vec.model.width}",
    "upstream": "tok2vec",
}


def width_of(encoder: str) -> int:
    """Look an encoder's width up; end the command where it is not known.

    encoder (str): Folder or Hub id.
    RETURNS (int): The width of its vectors, which spaCy's listeners must know beforehand.
    """
    from spacy_bert_ner.encoder.checkpoint import Checkpoint
    from spacy_bert_ner.encoder.network.kinds import KINDS, Shape

    try:
        config = Checkpoint(encoder).read_json("config.json") or {}
    except (OSError, ValueError) as error:
        msg.fail(f"The width of {encoder} is not known, which listeners need", str(error), exits=1)
    if config.get("model_type") in KINDS:
        return Shape.of(config).width
    if "hidden_size" not in config:
        place = Path(encoder) / "config.json"
        msg.fail(f"{place} has no hidden_size, but {json.dumps(sorted(config))}", exits=1)
    return int(config["hidden_size"])


def with_sharing(config: Config, width: int) -> Config:
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
