"""Which of an encoder's parameters training moves."""

import re

from torch import nn

# Where encoders number their layers: layer.3, encoder.layer.3, layers.3, h.3.
LAYER = re.compile(r"(?:^|\.)(?:layers?|h|block)\.(\d+)\.")
# What an encoder has that is newly initialised, by the beginnings of the names: case features and a DocumentMemory.
NEW = ("casing.", "memory.")


def layer_of(name: str) -> int:
    """RETURNS (int): Which of its encoder's layers a parameter belongs to; -1 for the embeddings."""
    found = LAYER.search(name)
    return int(found[1]) if found else -1


def is_new(name: str) -> bool:
    """RETURNS (bool): Whether a parameter of an encoder is newly initialised: no checkpoint holds it."""
    return name.startswith(NEW)


def freeze_layers(encoder: nn.Module, count: int) -> None:
    """Exclude the embeddings and the first layers from training; newly initialised parameters are left in.

    encoder (Module): The encoder.
    count (int): How many layers; with 0 nothing is frozen, not even the embeddings.
    """
    for name, param in encoder.named_parameters():
        param.requires_grad_(not (count and layer_of(name) < count and not is_new(name)))
