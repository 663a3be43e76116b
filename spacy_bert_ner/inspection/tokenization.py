"""Statistics of the encoder's tokenizer and windows on a corpus."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.training import Example

from spacy_bert_ner.encoder.layout import lay_out
from spacy_bert_ner.encoder.model import get_settings
from spacy_bert_ner.encoder.pieces import WordPieces
from spacy_bert_ner.encoder.settings import EncoderSettings
from spacy_bert_ner.encoder.shim import EncoderShim
from spacy_bert_ner.rawtext.retokenizing import first_forms

from .annotation import Finding, describe_place


def find_encoder(nlp: Language) -> tuple[WordPieces, EncoderSettings] | None:
    """Find an initialized pipeline's encoder. RETURNS: Its tokenizer and settings; None where it has none."""
    for _, pipe in nlp.pipeline:
        for node in pipe.model.walk() if hasattr(pipe, "model") else ():
            for shim in node.shims:
                if isinstance(shim, EncoderShim):
                    return shim.pieces, get_settings(node)
    return None


def inspect_pieces(
    splits: Mapping[str, Sequence[Example]], pieces: WordPieces, settings: EncoderSettings
) -> tuple[dict[str, Any], list[Finding]]:
    """Tokenize a corpus into word pieces and windows, as prediction does.

    splits (Mapping[str, Sequence[Example]]): The examples of "train" and "dev".
    settings (EncoderSettings): For window and stride.
    RETURNS (tuple[dict[str, Any], list[Finding]]): By split: pieces per word, shares of words of several pieces and
        of unknown pieces, windows per document, and the share of pieces that are encoded twice; and entities longer
        than a window.
    """
    measures, longer = {}, []
    capacity = settings.window - pieces.specials
    for split, both in splits.items():
        examples = first_forms(both)
        docs = [example.predicted for example in examples]
        layout = lay_out(pieces, settings, docs, is_train=False)
        counts = np.concatenate([*layout.counts, np.zeros(0, dtype=np.int64)])
        encoded = sum(end - start for start, end in map(layout.span, layout.windows))
        total = max(len(layout.ids), 1)
        measures[split] = {
            "pieces_per_word": float(counts.sum() / max(len(counts), 1)),
            "words_cut": float((counts > 1).mean()) if len(counts) else 0.0,
            "unknown_pieces": float((layout.ids == pieces.settings["unknown"]).sum() / total),
            "windows_per_document": len(layout.windows) / max(len(docs), 1),
            "overlap": max(encoded / total - 1, 0.0),
        }
        for i, example in enumerate(examples):
            for ent in example.reference.ents:
                size = int(pieces.encode([token.text for token in ent], 1 << 30).counts.sum())
                if size > capacity:
                    longer.append({**describe_place(split, i, ent), "pieces": size})
    message = f"{len(longer)} entities have more word pieces than a window takes ({capacity}): raise window"
    return measures, [Finding("warning", "longer_than_window", message, longer)] if longer else []
