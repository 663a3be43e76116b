"""Which of an encoder's parameters training moves."""

import re

from .network.module import Encoder

# Where encoders number their layers: layer.3, encoder.layer.3, layers.3, h.3.
LAYER = re.compile(r"(?:^|\.)(?:layers?|h|block)\.(\d+)\.")


def layer_of(name: str) -> int:
    """RETURNS (int): Which of its encoder's layers a parameter belongs to; -1 for the embeddings."""
    found = LAYER.search(name)
    return int(found[1]) if found else -1


def freeze_layers(encoder: Encoder, count: int) -> None:
    """Exclude the embeddings and the first layers from training; newly initialised parameters are left in.

    encoder (Encoder): The encoder.
    count (int): How many layers; with 0 nothing is frozen, not even the embeddings.
    """
    for name, param in encoder.named_parameters():
        param.requires_grad_(not (count and layer_of(name) < count and name not in encoder.new_parameters))
