"""Errors that stop an audit and that the user can fix."""


class AuditError(ValueError):
    """An audit that cannot begin or go on: says what was found, what was expected and what to type."""
