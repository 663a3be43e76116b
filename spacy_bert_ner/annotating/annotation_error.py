"""Why annotation cannot begin or go on."""


class AnnotationError(ValueError):
    """Annotation that cannot begin or go on: says what was found, what was expected and what to type."""
