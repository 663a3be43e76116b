"""torch's layers without initialization: their weights come from elsewhere.

That saves drawing random numbers, which would change those that others draw, and importing torch's compiler, without
which random numbers are not to be had on the meta device.
"""

from torch import nn


class Linear(nn.Linear):
    """torch's linear layer, its parameters as they are in memory."""

    def reset_parameters(self) -> None:
        """Do nothing."""


class Embedding(nn.Embedding):
    """torch's table of embeddings, its rows as they are in memory."""

    def reset_parameters(self) -> None:
        """Do nothing."""


class LayerNorm(nn.LayerNorm):
    """torch's norm, its parameters as they are in memory."""

    def reset_parameters(self) -> None:
        """Do nothing."""
