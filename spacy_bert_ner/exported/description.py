"""ner.json: what a client outside Python needs beside the graphs and tokenizer.json. docs/export.md explains it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy_bert_ner.encoder.choices import Pieces
from spacy_bert_ner.encoder.network.casing import LONGEST, WORD_SHAPES
from spacy_bert_ner.encoder.settings import EncoderSettings
from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.tags import TagScheme

from .graph_files import DESCRIPTION, ENCODER, HEAD, TOKENIZER
from .onnx_shim import OnnxShim
from .padding import LENGTH_STEP

# Of ner.json; a client refuses one that it does not know. The second one is that of a pipeline with a promise.
DESCRIPTION_FORMAT, FORMAT_WITH_PROMISE = 1, 2


def write_description(
    folder: Path,
    shim: OnnxShim,
    settings: EncoderSettings,
    pieces: Pieces,
    scheme: TagScheme,
    state: Mapping[str, Any],
) -> None:
    """Write ner.json beside the graphs.

    folder (Path): The component's folder.
    shim (OnnxShim): Its graphs and tokenizer.
    settings (EncoderSettings): For window and stride.
    pieces (str): Which pieces of a word carry its label.
    scheme (TagScheme): How tags spell entities.
    state (Mapping[str, Any]): The component's `cfg`: labels, temperature, offsets, promise, settings.
    """
    promise = state["promise"] if state["keep_promise"] else None
    described = {
        "format": FORMAT_WITH_PROMISE if promise else DESCRIPTION_FORMAT,
        **describe_graphs(shim, settings, pieces),
        **describe_decoding(scheme, state["labels"]),
        "temperature": state["temperature"],
        "offsets": {label: state["offsets"].get(label, 0.0) for label in state["labels"]},
        "threshold": state["threshold"],
        **({"promise": promise} if promise else {}),
    }
    write_atomically(folder / DESCRIPTION, (json.dumps(described, indent=2, ensure_ascii=False) + "\n").encode("utf8"))


def describe_graphs(shim: OnnxShim, settings: EncoderSettings, pieces: Pieces) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): How texts become inputs of the graphs."""
    capacity = settings.window - shim.pieces.specials
    encoder, head = shim.inputs(ENCODER), shim.inputs(HEAD)
    return {
        "tokenizer": {
            "file": TOKENIZER,
            **{name: shim.pieces.settings[name] for name in ("prefix", "suffix", "unknown", "blank")},
        },
        "windows": {
            "capacity": capacity,
            "overlap": min(settings.window - settings.stride, capacity - 1),
            "length_step": LENGTH_STEP,
        },
        "encoder": {"file": ENCODER, "inputs": encoder, "output": "vectors", "width": shim.width},
        "word_shapes": {"names": list(WORD_SHAPES), "characters": LONGEST} if "shapes" in encoder else None,
        "pieces": "mean" if pieces == "mean" else "first",
        "recurrence": {"folding": "lower"} if "others" in head else None,
        "head": {"file": HEAD, "inputs": head, "output": "logits"},
    }


def describe_decoding(scheme: TagScheme, labels: list[str]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): How logits become entities."""
    return {
        "labels": labels,
        "scheme": scheme.name,
        "tags": scheme.tags(labels),
        "may_start": scheme.starts(labels).tolist(),
        "may_end": scheme.ends(labels).tolist(),
        "may_follow": scheme.transitions(labels).tolist(),
    }
