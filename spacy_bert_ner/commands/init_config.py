"""`init-config`: a filled training config, with the release config's settings and comments."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from wasabi import msg

from .arguments import check_corpus, write_text
from .encoders import width_of
from .languages import blank_pipeline
from .options import Arg, Force, Opt
from .shared import OWN, SHARED, with_sharing
from .sourcing import Source, read_source, with_source
from .wrapping import explained

if TYPE_CHECKING:
    from thinc.api import Config

    from spacy_bert_ner.training.recipes import Recipe

RELEASE_CONFIG = Path(__file__).parent.parent / "bert.cfg"
STANDARD_OUTPUT = "-"

_SECTION = re.compile(r"\[([^\[\]]+)\]$")
_KEY = re.compile(r"([\w.@*]+)\s*=")


def init_config_cli(
    output: Annotated[Path, Arg(help="Where to write the config (.cfg), or - for standard output", allow_dash=True)],
    encoder: Annotated[
        str | None, Opt("--encoder", "-e", help="Folder or Hub id of the pretrained encoder to begin with")
    ] = None,
    source: Annotated[
        str | None, Opt("--source", "-s", help="Folder or package name of a trained pipeline to train further")
    ] = None,
    share: Annotated[
        bool, Opt("--share", help="Put the encoder into a tok2vec, so that other components can listen to it")
    ] = False,
    lang: Annotated[
        str | None,
        Opt("--lang", "-l", help="Language of the tokenizer; by default the source's, else en; xx for any"),
    ] = None,
    train: Annotated[Path, Opt("--train", "-t", help="Training data (.spacy)")] = Path("corpus/train.spacy"),
    dev: Annotated[Path, Opt("--dev", "-d", help="Development data (.spacy)")] = Path("corpus/dev.spacy"),
    epochs: Annotated[
        float | None, Opt("--epochs", help="Passes over the training data; by default from the encoder's size", min=0.1)
    ] = None,
    evaluations: Annotated[
        int | None, Opt("--evaluations", help="Evaluations in the whole run; by default 6", min=1)
    ] = None,
    learn_rate: Annotated[
        float | None,
        Opt("--learn-rate", help="Peak rate; by default from the encoder's size, a third of it with --source"),
    ] = None,
    gpu: Annotated[bool, Opt("--gpu/--cpu", "-G/-C", help="What the config is for")] = False,
    force: Force = False,
) -> None:
    """Write a filled training config: check it with `bert-ner debug`, then train it with `bert-ner train`."""
    check_output(output, force)
    if lang is not None:
        # Ends the command where there is no such language, or its tokenizer is missing.
        blank_pipeline(lang)
    if (encoder is None) == (source is None):
        found = "neither" if source is None else "both"
        msg.fail(f"Expected --encoder, or --source for a pipeline to be trained further, found {found}", exits=1)
    if share and source is not None:
        msg.fail("--share is for a new encoder: a --source shares its own, or does not, as it was trained", exits=1)
    from spacy_bert_ner.training import choose_recipe

    trained = read_source(source) if source is not None else None
    width = trained.width if trained else width_of(str(encoder), needed=share)
    shared = width if share else None
    overrides: dict[str, Any] = {
        "paths.train": str(train),
        "paths.dev": str(dev),
        "system.gpu_allocator": "pytorch" if gpu else None,
    }
    if lang is not None:
        overrides["nlp.lang"] = lang
    if learn_rate is not None:
        overrides["training.optimizer.learn_rate.initial_rate"] = learn_rate
    if trained is None:
        overrides["paths.encoder"] = encoder
        if gpu:
            overrides[f"{SHARED if share else OWN}.max_batch_pieces"] = 16384
    base = base_config(overrides, trained, shared)
    choose = partial(choose_recipe, width, gpu=gpu, further=trained is not None)
    if train.exists():
        overrides |= decide(base, train, choose, epochs, evaluations)
    else:
        warn_of_open_steps(train, output, epochs)
        # What the command line says comes first.
        overrides = encoder_rates(choose()) | overrides
    write(filled_config(overrides, trained, shared), output, gpu, source)


def check_output(output: Path, force: bool) -> None:
    """End the command where the config cannot be written."""
    if str(output) == STANDARD_OUTPUT:
        return
    if output.is_dir():
        msg.fail(f"{output} is a folder, expected the name of a config", f"Try {output / 'config.cfg'}", exits=1)
    if output.exists() and not force:
        msg.fail(f"{output} is there already", "Add --force to replace it", exits=1)


def write(text: str, output: Path, gpu: bool, source: str | None) -> None:
    """Write a config to its file, or to standard output, which then holds nothing else; say how to train by it."""
    if str(output) == STANDARD_OUTPUT:
        typer.echo(text, nl=False)
        return
    write_text(output, text)
    device = " --gpu-id 0" if gpu else ""
    # What is trained further must not be replaced.
    inside = source is not None and Path(source).resolve().is_relative_to(Path("training").resolve())
    folder = "further" if inside else "training"
    msg.good(f"Wrote {output}", f"You can now run: python -m spacy bert-ner train {output} --output {folder}{device}")


def decide(
    base: "Config",
    train: Path,
    choose: "Callable[[int | None], Recipe]",
    epochs: float | None,
    evaluations: int | None,
) -> dict[str, Any]:
    """Decide what the release config leaves open. RETURNS (dict[str, Any]): Overrides of a config."""
    from spacy_bert_ner.training import complete

    check_corpus(train)
    with explained(f"{train} cannot be read"):
        return complete(base, choose=choose, epochs=epochs, evaluations=evaluations).overrides


def encoder_rates(recipe: "Recipe") -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What the encoder's size decides, whatever the corpus's."""
    from spacy_bert_ner.training.recipes import BATCH_WORDS

    return {name: value for name, value in recipe.overrides().items() if name != BATCH_WORDS}


def warn_of_open_steps(train: Path, output: Path, epochs: float | None) -> None:
    """Warn that steps cannot be computed without a corpus; on standard error, as standard output may be the config."""
    again = f"{output}{f' --epochs {epochs:g}' if epochs else ''}"
    typer.echo(
        f'! There is no {train}: the config leaves batches and steps "auto", and `bert-ner train {again}` lays them '
        "out when it begins. For spaCy's own commands, convert your data first (`python -m spacy bert-ner convert`) "
        "and run this again",
        err=True,
    )


def base_config(overrides: dict[str, Any], source: Source | None = None, width: int | None = None) -> "Config":
    """Combine the release config with overrides and a source.

    overrides (dict[str, Any]): Values by dotted path.
    source (Source | None): The pipeline that it trains further.
    width (int | None): The width of an encoder that several components share.
    RETURNS (Config): The release config with them, variables not yet filled in.
    """
    from spacy.util import load_config
    from thinc.api import Config

    config = load_config(RELEASE_CONFIG, interpolate=False)
    config = with_source(config, source) if source else config
    text = (with_sharing(config, width) if width else config).to_str(interpolate=False)
    return Config().from_str(text, overrides=overrides, interpolate=False)


def filled_config(overrides: dict[str, Any], source: Source | None = None, width: int | None = None) -> str:
    """Fill the release config.

    overrides (dict[str, Any]): Values by dotted path.
    source (Source | None): The pipeline that it trains further.
    width (int | None): The width of an encoder that several components share.
    RETURNS (str): The config with every setting that there is, and with the release config's comments; what the release
        config leaves open and `overrides` do not say stays open.
    """
    from spacy.util import load_model_from_config
    from thinc.api import Config

    from spacy_bert_ner.training.completion import open_settings, override
    from spacy_bert_ner.training.recipes import AUTO

    base = base_config(overrides, source, width)
    still_open = open_settings(base)
    # spaCy fills in nothing but settings that are valid.
    config = Config(load_model_from_config(override(base, dict.fromkeys(still_open, 1)), auto_fill=True).config)
    config = override(config, dict.fromkeys(still_open, AUTO))
    if source:
        # spaCy has put their whole configs in their places.
        config["components"] = base["components"]
        # And settings of this callback, which others that may take its place do not know.
        config["initialize"]["after_init"] = base["initialize"]["after_init"]
    commented = RELEASE_CONFIG.read_text(encoding="utf8")
    if width:
        commented = commented.replace(f"[{OWN}]", f"[{SHARED}]")
    return with_comments(config.to_str(interpolate=False), commented)


def with_comments(text: str, commented: str) -> str:
    """Carry comments over from one config to another.

    text (str): A config without comments.
    commented (str): A config with comments, each above the section or the setting that it is about.
    RETURNS (str): `text` with the comments of the sections and settings that both have.
    """
    comments: dict[tuple[str, str], list[str]] = {}
    section, waiting = "", []
    for line in commented.splitlines():
        section, key = _place(line, section)
        if line.startswith("#"):
            waiting.append(line)
        elif key is not None:
            comments[section, key] = waiting
            waiting = []
        elif waiting:
            # A comment on the whole file.
            waiting = []
    lines: list[str] = []
    section = ""
    for line in text.splitlines():
        section, key = _place(line, section)
        lines += comments.get((section, key), []) if key is not None else []
        lines.append(line)
    return "\n".join(lines) + "\n"


def _place(line: str, section: str) -> tuple[str, str | None]:
    """Locate a line of a config. RETURNS: Its section, and its key; "" where it starts a section."""
    if begun := _SECTION.match(line):
        return begun[1], ""
    key = _KEY.match(line)
    return section, key[1] if key else None
