"""Training that survives interruptions, with the result of `spacy train`; and how many steps so many epochs are."""

from .plan import StepPlan, count_batches, plan_steps

__all__ = ["StepPlan", "count_batches", "plan_steps"]
