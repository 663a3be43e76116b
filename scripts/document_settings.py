"""Write docs/settings.md: every setting of every registered function, from its signature and its docstring."""

import argparse
import configparser
import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from spacy.language import Language
from thinc.api import Config
from wasabi import msg

from spacy_bert_ner.storage.files import write_atomically

PROJECT = Path(__file__).parents[1]
HEAD = """# Settings

Every setting of every function that a config can name, as `python scripts/document_settings.py` reads it from the
signatures and docstrings. A setting without a default must be given.
"""
# How a config names a function, by the group of its entry point.
GROUPS = {
    "spacy_factories": 'factory = "{}"',
    "spacy_architectures": '@architectures = "{}"',
    "spacy_augmenters": '@augmenters = "{}"',
    "spacy_scorers": '@scorers = "{}"',
    "spacy_callbacks": '@callbacks = "{}"',
    "thinc_optimizers": '@optimizers = "{}"',
}
# What the pipeline gives to a factory, and no config does.
GIVEN = ("nlp", "name")
# What lies here wants spacy-transformers.
BRIDGE = "spacy_bert_ner.bridge"

# `name (Type): meaning` or `one, two (Type): meaning`; the meaning goes on in lines that are indented further.
_ARGUMENT = re.compile(r"(?P<names>\w+(?:, \w+)*) \((?P<type>[^)]*)\): (?P<meaning>.*)")
# Where the docstring of another function describes all of them.
_ELSEWHERE = re.compile(r"All arguments: see (?P<place>[\w.]+)\.(?P<function>\w+)\.")


def document_settings() -> str:
    """RETURNS (str): All of docs/settings.md."""
    return "\n".join([HEAD, *(describe(group, name, made_by) for group, name, made_by in registered())])


def registered() -> Iterator[tuple[str, str, Callable]]:
    """YIELDS: Group, name and function of each entry point of setup.cfg that a config can name."""
    setup = configparser.ConfigParser(delimiters=("=",))
    setup.optionxform = str  # type: ignore[assignment, method-assign]
    setup.read(PROJECT / "setup.cfg", encoding="utf8")
    for group, lines in setup["options.entry_points"].items():
        if group == "spacy_cli":
            continue
        for line in lines.split("\n"):
            if line:
                name, place = (part.strip() for part in line.split("="))
                module, _, attribute = place.partition(":")
                yield group, name, getattr(import_module(module), attribute)


def describe(group: str, name: str, made_by: Callable) -> str:
    """Describe one function.

    group (str): Group of its entry point.
    name (str): Its registered name.
    made_by (Callable): The function.
    RETURNS (str): A section of Markdown.
    """
    summary, meanings = read_docstring(made_by)
    title = f"`{GROUPS[group].format(name)}`. {summary}"
    if made_by.__module__.startswith(BRIDGE):
        title += " Needs the extra `bridge`."
    body = refer(made_by) or tabulate(group, name, made_by, meanings)
    return "\n".join([f"## {name}", "", title, "", *body, ""])


def refer(made_by: Callable) -> list[str]:
    """Where a docstring leaves the settings to another function's, name that one.

    made_by (Callable): The function.
    RETURNS (list[str]): A sentence of Markdown; empty where the docstring describes them itself.
    """
    found = _ELSEWHERE.search(inspect.getdoc(made_by) or "")
    if not found:
        return []
    place = f"spacy_bert_ner.{found['place']}", found["function"]
    name, other = next((name, f) for _, name, f in registered() if (f.__module__, f.__name__) == place)
    own = inspect.signature(made_by).parameters
    lacking = [f"`{each}`" for each in inspect.signature(other).parameters if each not in own]
    without = f", but for {' and '.join(lacking)}" if lacking else ""
    anchor = re.sub(r"[^\w-]", "", name.lower())
    return [f"Its settings are those of [{name}](#{anchor}){without}."]


def tabulate(group: str, name: str, made_by: Callable, meanings: dict[str, tuple[str, str]]) -> list[str]:
    """Make a table of a function's settings.

    group (str): Group of its entry point.
    name (str): Its registered name.
    made_by (Callable): The function.
    meanings (dict[str, tuple[str, str]]): Type and meaning of each argument.
    RETURNS (list[str]): Lines of Markdown.
    """
    defaults = Language.get_factory_meta(name).default_config if group == "spacy_factories" else None
    rows = []
    for parameter in inspect.signature(made_by).parameters.values():
        if parameter.name in GIVEN and defaults is not None:
            continue
        kind, meaning = meanings[parameter.name]
        default = parameter.default if defaults is None else defaults.get(parameter.name, inspect.Parameter.empty)
        cells = (f"`{parameter.name}`", f"`{kind}`", spell(default), meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return ["| setting | type | default | meaning |", "| --- | --- | --- | --- |", *rows] if rows else ["No settings."]


def read_docstring(function: Callable) -> tuple[str, dict[str, tuple[str, str]]]:
    """Take a docstring apart.

    function (Callable): A function, documented as CONTRIBUTING.md says.
    RETURNS (tuple[str, dict[str, tuple[str, str]]]): What it says before the arguments, and the type and meaning of
        each argument.
    """
    summary: list[str] = []
    meanings: dict[str, tuple[str, str]] = {}
    names: list[str] = []
    for line in inspect.getdoc(function).splitlines():  # type: ignore[union-attr]
        argument = _ARGUMENT.fullmatch(line)
        if argument:
            names = argument["names"].split(", ")
            meanings |= dict.fromkeys(names, (argument["type"], argument["meaning"]))
        elif names and line.startswith("    "):
            kind, meaning = meanings[names[0]]
            meanings |= dict.fromkeys(names, (kind, f"{meaning} {line.strip()}"))
        elif meanings or _ELSEWHERE.fullmatch(line) or line.startswith("RETURNS"):
            break
        else:
            summary.append(line)
    return " ".join(" ".join(summary).split()), meanings


def spell(default: Any) -> str:
    """RETURNS (str): A default as a config spells it; nothing where there is none."""
    if default is inspect.Parameter.empty:
        return ""
    if isinstance(default, dict):
        (name,) = (value for key, value in default.items() if key.startswith("@"))
        return f"`{name}`"
    line = Config({"section": {"key": default}}).to_str().splitlines()[1]
    return f"`{line.partition(' = ')[2]}`"


def main() -> None:
    """Parse the arguments, write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, nargs="?", default=PROJECT / "docs" / "settings.md", help="where to write")
    args = parser.parse_args()
    write_atomically(args.output, document_settings().encode())
    msg.good(f"Wrote {args.output}")


if __name__ == "__main__":
    main()
