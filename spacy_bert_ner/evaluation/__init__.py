"""Evaluation of any pipeline that sets doc.ents: scores, their intervals, and errors.

`evaluate` gives all measures, `report.render` makes a page of them.
"""

from .bootstrap import Resampling
from .console import TABLE_HEADER, table
from .measuring import Evaluation, evaluate

__all__ = ["TABLE_HEADER", "Evaluation", "Resampling", "evaluate", "table"]
