"""Settings out of their range, refused by name where a config is resolved: spaCy itself checks names and types."""

from collections.abc import Callable, Collection


def check_number(section: str, name: str, value: object, holds: Callable[[float], bool], expected: str) -> None:
    """Refuse a number out of range.

    section (str): Section of the config that the setting stands in by default.
    name (str): The setting.
    value (object): Its value: spaCy accepts a string for an integer.
    holds (Callable[[float], bool]): Whether a number is in range.
    expected (str): The range in words.
    RAISES: ValueError that names the setting, what was found and what was expected.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not holds(value):
        raise ValueError(f"[{section}] {name} = {value!r}: expected {expected}")


def check_choice(section: str, name: str, value: object, choices: Collection[str]) -> None:
    """Refuse a value that is not among the choices: for callers from Python, as spaCy checks configs itself.

    section, name, value: As in `check_number`.
    choices (Collection[str]): The allowed values.
    RAISES: ValueError that names the setting, what was found and what was expected.
    """
    if value not in choices:
        raise ValueError(f"[{section}] {name} = {value!r}: expected one of {', '.join(map(repr, choices))}")
