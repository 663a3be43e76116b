"""The error of annotation."""


class AnnotationError(ValueError):
    """Annotation that cannot start or continue: says what was found, what was expected and what to type."""
