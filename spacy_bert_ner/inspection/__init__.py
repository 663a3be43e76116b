"""Checks of data and config before training, for `bert-ner debug`."""

from .annotation import Finding, inspect_annotation, inspect_batches
from .order import inspect_order, inspect_sources
from .timing import estimate
from .tokenization import find_encoder, inspect_pieces

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
