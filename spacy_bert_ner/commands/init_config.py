"""`init-config`: a filled training config, with the release config's settings and comments."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from spacy.cli._util import Arg, Opt
from thinc.api import Config
from wasabi import msg

from .arguments import check_corpus, explained
from .languages import blank_pipeline
from .shared import OWN, SHARED, width_of, with_sharing
from .sourcing import Source, read_source, with_source

RELEASE_CONFIG = Path(__file__).parent.parent / "bert.cfg"


class Rates(NamedTuple):
    """Learning rates: the encoder's, and what it is multiplied by for what no pretraining saw."""

    learn_rate: float
    head_factor: float


# Chosen on CoNLL-2003's dev set: small encoders want the larger rate, and head and memory about the same with both.
SMALL_WIDTH = 512
SMALL, BASE = Rates(3e-4, 5.0), Rates(5e-5, 20.0)
EVALUATIONS = 6
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
    epochs: Annotated[float, Opt("--epochs", help="Passes over the training data", min=0.1)] = 3,
    learn_rate: Annotated[
        float | None, Opt("--learn-rate", help="Peak rate; by default from the encoder's size")
    ] = None,
    gpu: Annotated[bool, Opt("--gpu/--cpu", "-G/-C", help="What the config is for")] = False,
    force: Annotated[bool, Opt("--force", "-F", help="Replace the file if it is there")] = False,
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
    trained = read_source(source) if source is not None else None
    width = width_of(str(encoder)) if share else None
    rates = rates_of(trained.width) if trained else default_rates(str(encoder))
    overrides: dict[str, Any] = {
        "paths.train": str(train),
        "paths.dev": str(dev),
        "system.gpu_allocator": "pytorch" if gpu else None,
        "training.optimizer.learn_rate.initial_rate": rates.learn_rate if learn_rate is None else learn_rate,
        "training.optimizer.head_factor": rates.head_factor,
    }
    if lang is not None:
        overrides["nlp.lang"] = lang
    if gpu:
        overrides["training.batcher.size"] = 2000
    if trained is None:
        overrides["paths.encoder"] = encoder
        if gpu:
            overrides[f"{SHARED if share else OWN}.max_batch_pieces"] = 16384
    if train.exists():
        overrides |= plan(train, epochs, overrides, trained, width)
    else:
        typer.secho(
            f"! There is no {train}: the steps in the config are those of about 200,000 words in {epochs:g} epochs. "
            "Convert your data first (`python -m spacy bert-ner convert`), or set [training] max_steps and "
            "[training.optimizer.learn_rate] total_steps by hand",
            err=True,
        )
    write(filled_config(overrides, trained, width), output, gpu)


def check_output(output: Path, force: bool) -> None:
    """End the command where the config cannot be written."""
    if str(output) == STANDARD_OUTPUT:
        return
    if output.is_dir():
        msg.fail(f"{output} is a folder, expected the name of a config", f"Try {output / 'config.cfg'}", exits=1)
    if output.exists() and not force:
        msg.fail(f"{output} is there already", "Add --force to replace it", exits=1)


def write(text: str, output: Path, gpu: bool) -> None:
    """Write a config to its file, or to standard output, which then holds nothing else."""
    from spacy_bert_ner.storage.files import write_atomically

    if str(output) == STANDARD_OUTPUT:
        typer.echo(text, nl=False)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, text.encode())
    device = " --gpu-id 0" if gpu else ""
    msg.good(f"Wrote {output}", f"You can now run: python -m spacy bert-ner train {output} --output training{device}")


def default_rates(encoder: str) -> Rates:
    """Choose learning rates by an encoder's size; end the command where it is a folder without one.

    encoder (str): Folder or Hub id.
    RETURNS (Rates): The small encoders' where a folder says that it holds one.
    """
    from spacy.util import is_package

    folder = Path(encoder)
    if is_package(encoder) or ((folder / "meta.json").is_file() and (folder / "config.cfg").is_file()):
        msg.fail(
            f"{encoder} is a spaCy pipeline, expected a pretrained encoder",
            f"To train the pipeline further: --source {encoder}",
            exits=1,
        )
    config = folder / "config.json"
    if (folder.exists() or folder.is_absolute() or encoder.startswith(".")) and not config.is_file():
        msg.fail(
            f"{encoder} holds no config.json" if folder.exists() else f"There is no {encoder}",
            "Expected a folder with config.json, model.safetensors and tokenizer.json, or a Hub id such as "
            "bert-base-uncased",
            exits=1,
        )
    sizes = json.loads(config.read_text(encoding="utf8")) if config.is_file() else {}
    # DistilBERT calls it otherwise.
    return rates_of(sizes.get("hidden_size", sizes.get("dim")))


def rates_of(width: int | None) -> Rates:
    """RETURNS (Rates): For an encoder whose vectors are that wide; for a base-size one where it is not known."""
    return SMALL if width is not None and width < SMALL_WIDTH else BASE


def plan(
    train: Path, epochs: float, overrides: dict[str, Any], source: Source | None, width: int | None
) -> dict[str, Any]:
    """Work the steps out from the corpus. RETURNS (dict[str, Any]): Overrides of a config."""
    from spacy_bert_ner.training import count_batches, plan_steps

    check_corpus(train)
    with explained(f"{train} cannot be read"):
        batches = count_batches(base_config(overrides, source, width), train)
    if not batches:
        msg.fail(f"{train} holds no words", "Convert your data again: python -m spacy bert-ner convert", exits=1)
    return plan_steps(batches, epochs, EVALUATIONS).overrides()


def base_config(overrides: dict[str, Any], source: Source | None = None, width: int | None = None) -> Config:
    """Put together what a config says itself.

    overrides (dict[str, Any]): Values by dotted path.
    source (Source | None): The pipeline that it trains further.
    width (int | None): The width of an encoder that several components share.
    RETURNS (Config): The release config with them, variables not yet filled in.
    """
    from spacy.util import load_config

    config = load_config(RELEASE_CONFIG, interpolate=False)
    config = with_source(config, source) if source else config
    text = (with_sharing(config, width) if width else config).to_str(interpolate=False)
    return Config().from_str(text, overrides=overrides, interpolate=False)


def filled_config(overrides: dict[str, Any], source: Source | None = None, width: int | None = None) -> str:
    """Fill the release config.

    overrides (dict[str, Any]): Values by dotted path.
    source (Source | None): The pipeline that it trains further.
    width (int | None): The width of an encoder that several components share.
    RETURNS (str): The config with every setting that there is, and with the release config's comments.
    """
    from spacy.util import load_model_from_config

    base = base_config(overrides, source, width)
    config = Config(load_model_from_config(base, auto_fill=True).config)
    if source:
        # spaCy has put their whole configs in their places.
        config["components"] = base["components"]
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
    """Say where a line of a config is. RETURNS: Its section, and its key; "" where it begins a section."""
    if begun := _SECTION.match(line):
        return begun[1], ""
    key = _KEY.match(line)
    return section, key[1] if key else None
