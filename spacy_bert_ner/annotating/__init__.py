"""Many texts, in several processes: nothing is lost, and nothing done twice, whatever interrupts it."""

from .errors import AnnotationError
from .running import annotate
from .summary import Summary

__all__ = ["AnnotationError", "Summary", "annotate"]
