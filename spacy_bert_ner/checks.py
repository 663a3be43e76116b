"""Settings out of their range, refused by name where a config is resolved: spaCy itself checks names and types."""

from collections.abc import Callable, Collection


def check_number(section: str, name: str, value: object, holds: Callable[[float], bool], expected: str) -> None:
    """Refuse a number out of range.

    section (str): Section of the config that the setting stands in by default.
    name (str): The setting.
    value (object): Its value: spaCy lets a text pass for a whole number.
    holds (Callable[[float], bool]): Whether a number is in range.
    expected (str): The range in words.
    RAISES: ValueError that names the setting, what was found and what was expected.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not holds(value):
        raise ValueError(f"[{section}] {name} = {value!r}: expected {expected}")


def check_choice(section: str, name: str, value: object, choices: Collection[str]) -> None:
    """Refuse a value that is none of a few: for callers from Python, as spaCy itself checks those of configs.

    section, name, value: As in `check_number`.
    choices (Collection[str]): What there is.
    RAISES: ValueError that names the setting, what was found and what was expected.
    """
    if value not in choices:
        raise ValueError(f"[{section}] {name} = {value!r}: expected one of {', '.join(map(repr, choices))}")
