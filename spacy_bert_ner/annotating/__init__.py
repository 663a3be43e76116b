"""Annotation of many texts in several processes, resumed after interruptions without loss or repetition."""

from .annotation_error import AnnotationError
from .orchestration import annotate
from .summary import AnnotationSummary

__all__ = ["AnnotationError", "AnnotationSummary", "annotate"]
