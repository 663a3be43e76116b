"""Errors that stop a training run and that the user can fix."""


class RunError(ValueError):
    """A run that cannot begin or go on: says what was found, what was expected and what to type."""


class NonFiniteError(RunError):
    """A loss or a weight is NaN or infinite: the weights must not be saved."""
