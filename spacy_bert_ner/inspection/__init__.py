"""Checks of data and config before training, for `bert-ner debug`."""

from .annotation import Finding, inspect_annotation, inspect_batches
from .order import inspect_order, inspect_sources
from .timing import estimate
from .tokenization import find_encoder, inspect_pieces
from .updates import describe_plan, inspect_plan

__all__ = [
    "Finding",
    "describe_plan",
    "estimate",
    "find_encoder",
    "inspect_annotation",
    "inspect_batches",
    "inspect_order",
    "inspect_pieces",
    "inspect_plan",
    "inspect_sources",
]
