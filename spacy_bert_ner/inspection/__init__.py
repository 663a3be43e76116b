"""What to know of data and config before training: what `bert-ner debug` finds."""

from spacy_bert_ner.inspection.annotation import Finding, inspect_annotation, inspect_batches
from spacy_bert_ner.inspection.order import inspect_order, inspect_sources
from spacy_bert_ner.inspection.pieces import find_encoder, inspect_pieces
from spacy_bert_ner.inspection.timing import estimate

__all__ = [
    "Finding",
    "estimate",
    "find_encoder",
    "inspect_annotation",
    "inspect_batches",
    "inspect_order",
    "inspect_pieces",
    "inspect_sources",
]
