"""Training that survives interruptions, with the result of `spacy train`; the recipe, and how many steps epochs are."""

from .completion import Completion, complete
from .plan import StepPlan, count_batches, plan_steps
from .recipes import Recipe, choose_recipe

__all__ = ["Completion", "Recipe", "StepPlan", "choose_recipe", "complete", "count_batches", "plan_steps"]
