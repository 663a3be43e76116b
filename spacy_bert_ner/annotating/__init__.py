"""Annotation of many texts in several processes: nothing is lost or done twice, whatever interrupts it."""

from .annotation_error import AnnotationError
from .orchestration import annotate
from .summary import AnnotationSummary

__all__ = ["AnnotationError", "AnnotationSummary", "annotate"]
