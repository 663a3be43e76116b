"""Settings of a config given on the command line; those that nothing would read are refused by name.

spaCy puts what it does not know into the config and leaves it there: `--training.droput 0.2` changes nothing.
"""

import inspect
from collections.abc import Collection, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from wasabi import msg

from .wrapping import CommandError, explained

if TYPE_CHECKING:
    from thinc.api import Config

SOURCED = ("source", "component", "replace_listeners")
# Sections whose keys are all known; others hold arguments of their functions, or names that the user chooses.
CLOSED = ("paths", "system", "nlp", "training", "initialize", "pretraining")


def read_overrides(args: Sequence[str], config: Path, options: Collection[str] = ()) -> dict[str, Any]:
    """Read settings from the command line, and end the command at one that the config does not have.

    args (Sequence[str]): Arguments that are not options of the command.
    config (Path): Training config.
    options (Collection[str]): The command's own options, such as "--output".
    RETURNS (dict[str, Any]): Values by dotted path.
    """
    from spacy.cli._util import parse_config_overrides

    check_config(config)
    for arg in args:
        name = arg.partition("=")[0]
        if name.startswith("--") and "." not in name:
            refuse(f"No such option: {name}", name, options)
    overrides = parse_config_overrides(list(args))
    faults = unknown_settings(config, overrides)
    for key, known in faults.items():
        refuse(f"--{key}: {config} has no such setting", key, known, prefix="--")
    return overrides


def check_config(path: Path) -> None:
    """End the command where a file is no training config. RAISES: CommandError."""
    from spacy.util import load_config

    with explained(f"{path} cannot be read as a config"):
        config = load_config(path, interpolate=False)
    if "nlp" not in config:
        raise CommandError(f"{path} is no training config: it has no section [nlp]", "init-config writes one")


def options_of(ctx: typer.Context) -> list[str]:
    """RETURNS (list[str]): A command's own options, as they are typed."""
    return [option for parameter in ctx.command.params for option in parameter.opts]


def refuse(message: str, name: str, known: Collection[str], prefix: str = "") -> None:
    """End the command. known: What could have been meant."""
    nearest = get_close_matches(name, known, n=1)
    msg.fail(message, f"Did you mean {prefix}{nearest[0]}?" if nearest else None, exits=1)


def unknown_settings(path: Path, overrides: dict[str, Any]) -> dict[str, list[str]]:
    """Find settings that nothing would read.

    path (Path): Training config.
    overrides (dict[str, Any]): Values by dotted path.
    RETURNS (dict[str, list[str]]): Each such setting, and all that there are.
    """
    from spacy.util import load_config

    raw = load_config(path, interpolate=False)
    text = raw.to_str(interpolate=False)
    blocks = dict(_blocks(raw))
    known = sorted(_known(raw))
    unknown = {}
    for key in overrides:
        section, _, _ = key.rpartition(".")
        # A variable that the config uses and does not set.
        if key in known or "${" + key + "}" in text:
            continue
        is_free = section in blocks and not _is_closed(section, blocks[section])
        if not is_free:
            unknown[key] = known
    return unknown


def _is_closed(section: str, block: dict[str, Any]) -> bool:
    """Say whether all the keys that a block may have are known."""
    from spacy.language import Language

    parts = section.split(".")
    if len(parts) == 2 and parts[0] == "components":
        return "source" in block or Language.has_factory(block.get("factory", ""))
    return section in CLOSED or _parameters(block) is not None


def _known(raw: "Config") -> set[str]:
    """RETURNS (set[str]): All settings that a config has or could have, by dotted path."""
    from spacy.language import DEFAULT_CONFIG, Language
    from spacy.util import dict_to_dot
    from thinc.api import Config

    config = Config(DEFAULT_CONFIG).merge(raw)
    keys = set()
    for name, block in config["components"].items():
        factory = block.get("factory")
        if factory and Language.has_factory(factory):
            config["components"][name] = Config(Language.get_factory_meta(factory).default_config).merge(block)
        elif "source" in block:
            keys |= {f"components.{name}.{key}" for key in SOURCED}
    keys |= set(dict_to_dot(config))
    for section, block in _blocks(config):
        keys |= {f"{section}.{name}" for name in _parameters(block) or ()}
    return keys


def _blocks(config: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """YIELDS (tuple[str, dict[str, Any]]): Each block's dotted path, and the block."""
    for key, value in config.items():
        if isinstance(value, dict):
            here = f"{path}.{key}" if path else key
            yield here, value
            yield from _blocks(value, here)


def _parameters(block: dict[str, Any]) -> list[str] | None:
    """RETURNS (list[str] | None): The arguments of the function that a block names; None where it takes any."""
    from spacy.util import registry

    for key, name in block.items():
        if key.startswith("@") and registry.has(key[1:], name):
            parameters = inspect.signature(registry.get(key[1:], name)).parameters
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
                return list(parameters)
    return None
