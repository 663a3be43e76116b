"""Pipelines and what was exported of them, small: random weights everywhere, so that every part counts."""

from pathlib import Path
from typing import Any

import numpy as np
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc

from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.exporting.pipeline_export import export_pipeline
from spacy_bert_ner.ner.component import BertNER
from tests.scenarios import encoder_block, examples_of

TEXTS = [
    "Jane Smith met IBM in Paris, said the unlucky Londoners near IBM . ",
    "Jane works at IBM . " * 30,
    "paris Paris PARIS p4ris 42 met 🙂 \x01 </s> jane",
    "",
    "IBM",
]


def make_random(folder: Path, pieces: str = "first", scheme: str = "BIO", **settings: Any) -> Language:
    """RETURNS: A pipeline in fp32 with random weights; its entities mean nothing, and there are many of them."""
    nlp = spacy.blank("en")
    encoder = encoder_block(folder, **{"window": 32, "stride": 20, "transformer_config": {}, **settings})
    model = {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "pieces": pieces, "tok2vec": encoder}
    nlp.add_pipe("bert_ner", config={"model": model, "scheme": scheme})
    nlp.initialize(lambda: examples_of(nlp))
    component = component_of(nlp)
    shim = get_shim(component.model.get_ref("tok2vec"))
    with torch.no_grad():
        for name, param in shim.encoder.named_parameters():
            if "norm" not in name:
                param.normal_(std=0.3)
    output = component.model.get_ref("output_layer").layers[0]
    rng = np.random.default_rng(0)
    output.set_param("W", rng.normal(size=output.get_param("W").shape).astype("f"))
    component.cfg.update(temperature=1.5, offsets={"PER": 0.5, "LOC": -0.25})
    return nlp


def export(nlp: Language, folder: Path) -> Language:
    """RETURNS: What `export` makes of a pipeline, saved to `folder`/exported and loaded from there."""
    folder.mkdir(exist_ok=True)
    nlp.to_disk(folder / "trained")
    exported, _ = export_pipeline(folder / "trained")
    exported.to_disk(folder / "exported")
    return spacy.load(folder / "exported")


def component_of(nlp: Language) -> BertNER:
    component = nlp.get_pipe("bert_ner")
    assert isinstance(component, BertNER)
    return component


def found(docs: Any) -> list[list[tuple[int, int, str]]]:
    return [[(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents] for doc in docs]


def confidences(docs: Any) -> list[float]:
    return [ent._.confidence for doc in docs for ent in doc.ents]


def logits_of(nlp: Language, docs: list[Doc]) -> Any:
    return np.asarray(component_of(nlp).decode(docs).logits)
