"""The recipe: training settings by the sizes of encoder and corpus. Every command that trains takes them from here."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spacy_bert_ner.encoder.network.kinds import TRANSFORMER_KINDS, NetworkShape
from spacy_bert_ner.encoder.pretrained_files import PretrainedFiles

# The value of a setting that the recipe, or the size of the corpus, decides.
AUTO = "auto"
BATCH_WORDS = "training.batcher.size"
# Narrower encoders are small, such as MiniLM (384); base-size ones have 768.
SMALL_WIDTH = 512
GPU_BATCH_WORDS = 2000


@dataclass(frozen=True)
class Recipe:
    """Training settings that follow from the encoder's size and the corpus's.

    learn_rate (float): The encoder's peak learning rate.
    head_factor (float): What it is multiplied by for newly initialised parameters.
    epochs (float): Passes over the training corpus.
    batch_words (int): Words in a batch.
    """

    learn_rate: float
    head_factor: float
    epochs: float
    batch_words: int

    def overrides(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): The recipe as overrides of a training config; epochs are steps there."""
        return {
            "training.optimizer.learn_rate.initial_rate": self.learn_rate,
            "training.optimizer.head_factor": self.head_factor,
            BATCH_WORDS: self.batch_words,
        }


# Chosen on CoNLL-2003's dev set, with MiniLM and MPNet-base: small encoders want the larger rate, and newly initialised
# parameters about the same with both.
SMALL, BASE = Recipe(3e-4, 5.0, 4.5, 1000), Recipe(5e-5, 20.0, 3.0, 1000)
# With large batches a corpus of up to so many words (about a thousand sentences) gives few updates. Not tuned: MiniLM
# learns CoNLL-2003's types from 100 sentences with both numbers, and nothing with six batches of 1,000 words.
SMALL_CORPUS, SMALL_BATCH_WORDS = 20_000, 200
# The minimum where nobody says how many epochs; large corpora have more.
MIN_STEPS = 300
# By this the rates are divided for what is trained already. Chosen on CoNLL-2003's dev set with MiniLM alone, which
# knew three entity types and learnt the fourth by `train --keep`: it forgets less.
FURTHER = 3


def choose_recipe(width: int | None, words: int | None = None, *, gpu: bool = False, further: bool = False) -> Recipe:
    """Choose by the encoder's size, and the batch by the corpus's; a large one's by the device.

    width (int | None): The width of the encoder's vectors; None, where it is not known, stands for a base-size one's.
    words (int | None): Annotated words of the training corpus; None, where they cannot be counted, stands for many.
    gpu (bool): Whether training is to run on a GPU.
    further (bool): Whether it is a trained pipeline that is trained further.
    RETURNS (Recipe): The recipe.
    """
    recipe = SMALL if width is not None and width < SMALL_WIDTH else BASE
    recipe = replace(recipe, learn_rate=float(f"{recipe.learn_rate / FURTHER:.2g}")) if further else recipe
    if words is not None and words <= SMALL_CORPUS:
        return replace(recipe, batch_words=SMALL_BATCH_WORDS)
    return replace(recipe, batch_words=GPU_BATCH_WORDS) if gpu else recipe


def encoder_width(name: str) -> int:
    """Look up the width of a pretrained encoder's vectors.

    name (str): Folder or Hub id.
    RETURNS (int): The width.
    RAISES: OSError where there is no such encoder, or no way to it; ValueError where its config.json does not say it.
    """
    sizes = PretrainedFiles(name).read_json("config.json")
    place = Path(name) / "config.json"
    if sizes is None:
        raise FileNotFoundError(f"There is no {place}")
    if sizes.get("model_type") in TRANSFORMER_KINDS:
        return NetworkShape.of(sizes).width
    if "hidden_size" not in sizes:
        raise ValueError(f"{place} has no hidden_size, but {json.dumps(sorted(sizes))}")
    return int(sizes["hidden_size"])


def named_encoders(config: Mapping[str, Any]) -> Iterator[str]:
    """YIELDS (str): The folder or Hub id of each pretrained encoder in a config, variables filled in."""
    for value in config.values():
        if isinstance(value, Mapping):
            if "@architectures" in value and isinstance(name := value.get("name"), str):
                yield name
            yield from named_encoders(value)
