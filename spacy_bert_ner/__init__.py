"""BERT named-entity recognition for spaCy pipelines.

Everything that a config names is found through entry points (see setup.cfg). What users call from Python is here, and
imported lazily, so that importing this package is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spacy_bert_ner.annotating import annotate
    from spacy_bert_ner.calibration.workflow import calibrate
    from spacy_bert_ner.evaluation import evaluate
    from spacy_bert_ner.ner.best_readings import readings
    from spacy_bert_ner.ner.component import BertNER
    from spacy_bert_ner.training.optimizer import build_adamw
    from spacy_bert_ner.training.running import train

__all__ = ["BertNER", "annotate", "build_adamw", "calibrate", "evaluate", "readings", "train"]
__version__ = "0.2.0"

_HOMES = {
    "annotate": ".annotating",
    "BertNER": ".ner.component",
    "build_adamw": ".training.optimizer",
    "calibrate": ".calibration.workflow",
    "evaluate": ".evaluation",
    "readings": ".ner.best_readings",
    "train": ".training.running",
}


def __getattr__(name: str) -> Any:
    """Import a public name. RAISES: AttributeError where there is no such name."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    """RETURNS (list[str]): The public names, imported or not."""
    return sorted([*globals(), *__all__])
