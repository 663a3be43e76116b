"""BERT named-entity recognition for spaCy pipelines.

Everything is found through entry points (see setup.cfg), and what users call from Python is imported when it is asked
for, so that importing this package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spacy_bert_ner.annotating import annotate

__all__ = ["annotate"]
__version__ = "0.2.0"

_HOMES = {"annotate": ".annotating"}


def __getattr__(name: str) -> Any:
    """Import what this package offers under its own name. RAISES: AttributeError where it offers no such thing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
