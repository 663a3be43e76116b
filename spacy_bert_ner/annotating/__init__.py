"""Many texts, in several processes: nothing is lost, and nothing done twice, whatever interrupts it."""

from .annotation_error import AnnotationError
from .orchestration import annotate
from .summary import Summary

__all__ = ["AnnotationError", "Summary", "annotate"]
