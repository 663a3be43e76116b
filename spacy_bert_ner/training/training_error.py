"""What stops a training run for a reason that its user can do something about."""


class RunError(ValueError):
    """A run that cannot begin or go on: says what was found, what was expected and what to type."""


class NonFiniteError(RunError):
    """A loss or a weight that is not a number: no weights may be saved now."""
