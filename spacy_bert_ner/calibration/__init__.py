"""Calibration on a development set, and measures of how far scores can be trusted.

Everywhere, `scores` is (entities,), each a predicted entity's probability of being right, and `right` is (entities,),
bool: is there a gold entity with exactly this span and label? Missed gold entities have no score and do not count.
No measure depends on the order of entities with equal scores. What is undefined (any measure of no entities, the area
under the curve where all are right or all wrong) is None.
"""

from .fitting import TEMPERATURES, Calibration, ScoreTable, balance, cross_fit, fit_calibration, halve
from .measures import (
    Bin,
    area_under_roc,
    brier_score,
    calibration_error,
    error_by_chance,
    log_loss,
    precision_above,
    reliability,
    reliability_by_type,
    risk_coverage,
    share_of_wrong,
    summarise,
)

__all__ = [
    "TEMPERATURES",
    "Bin",
    "Calibration",
    "ScoreTable",
    "area_under_roc",
    "balance",
    "brier_score",
    "calibration_error",
    "cross_fit",
    "error_by_chance",
    "fit_calibration",
    "halve",
    "log_loss",
    "precision_above",
    "reliability",
    "reliability_by_type",
    "risk_coverage",
    "share_of_wrong",
    "summarise",
]
