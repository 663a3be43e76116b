"""`init-config`: a filled training config, with the release config's settings and comments."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from spacy.cli._util import Arg, Opt
from thinc.api import Config
from wasabi import msg

RELEASE_CONFIG = Path(__file__).parent.parent / "bert.cfg"


class Rates(NamedTuple):
    """Learning rates: the encoder's, and what it is multiplied by for what no pretraining saw."""

    learn_rate: float
    head_factor: float


# Chosen on CoNLL-2003's dev set: small encoders want the larger rate, and head and memory about the same with both.
SMALL_WIDTH = 512
SMALL, BASE = Rates(3e-4, 5.0), Rates(5e-5, 20.0)
EVALUATIONS = 6

_SECTION = re.compile(r"\[([^\[\]]+)\]$")
_KEY = re.compile(r"([\w.@*]+)\s*=")


def init_config_cli(
    output: Annotated[Path, Arg(help="Where to write the config (.cfg)", dir_okay=False)],
    encoder: Annotated[str, Opt("--encoder", "-e", help="Folder or Hub id of the pretrained encoder")],
    lang: Annotated[str, Opt("--lang", "-l", help="Language of the tokenizer, such as en; xx for any")] = "en",
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
    from ..files import write_atomically
    from .languages import blank_pipeline

    if output.exists() and not force:
        msg.fail(f"{output} is there already", "Add --force to replace it", exits=1)
    blank_pipeline(lang)
    rates = default_rates(encoder)
    overrides: dict[str, Any] = {
        "paths.train": str(train),
        "paths.dev": str(dev),
        "paths.encoder": encoder,
        "nlp.lang": lang,
        "system.gpu_allocator": "pytorch" if gpu else None,
        "training.optimizer.learn_rate.initial_rate": rates.learn_rate if learn_rate is None else learn_rate,
        "training.optimizer.head_factor": rates.head_factor,
    }
    if gpu:
        overrides |= {"components.transformer.model.max_batch_pieces": 16384, "training.batcher.size": 2000}
    if train.is_file():
        overrides |= plan(train, epochs, overrides)
    else:
        msg.warn(
            f"There is no {train}: the steps in the config are those of about 200,000 words in {epochs:g} epochs",
            "Convert your data first (`python -m spacy bert-ner convert`), or set [training] max_steps and "
            "[training.optimizer.learn_rate] total_steps by hand",
        )
    text = filled_config(overrides)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, text.encode())
    device = " --gpu-id 0" if gpu else ""
    msg.good(f"Wrote {output}", f"You can now run: python -m spacy bert-ner train {output} --output training{device}")


def default_rates(encoder: str) -> Rates:
    """Choose learning rates. RETURNS (Rates): The small encoders' where a folder says that it holds one."""
    config = Path(encoder) / "config.json"
    sizes = json.loads(config.read_text(encoding="utf8")) if config.is_file() else {}
    # DistilBERT calls it otherwise.
    width = sizes.get("hidden_size", sizes.get("dim"))
    return SMALL if width is not None and width < SMALL_WIDTH else BASE


def plan(train: Path, epochs: float, overrides: dict[str, Any]) -> dict[str, Any]:
    """Work the steps out from the corpus. RETURNS (dict[str, Any]): Overrides of a config."""
    from spacy.util import load_config

    from ..training import count_batches, plan_steps

    config = load_config(RELEASE_CONFIG, overrides=overrides, interpolate=False)
    batches = count_batches(config, train)
    if not batches:
        msg.fail(f"{train} holds no words", "Convert your data again: python -m spacy bert-ner convert", exits=1)
    return plan_steps(batches, epochs, EVALUATIONS).overrides()


def filled_config(overrides: dict[str, Any]) -> str:
    """Fill the release config.

    overrides (dict[str, Any]): Values by dotted path.
    RETURNS (str): The config with every setting that there is, and with the release config's comments.
    """
    from spacy.util import load_config, load_model_from_config

    nlp = load_model_from_config(load_config(RELEASE_CONFIG, overrides=overrides, interpolate=False), auto_fill=True)
    config = Config(nlp.config)
    return with_comments(config.to_str(interpolate=False), RELEASE_CONFIG.read_text(encoding="utf8"))


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
