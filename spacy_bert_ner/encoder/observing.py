"""What the linear layers of an encoder are given, over a sample of texts: their inputs' ranges are read off from it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc
from spacy.util import minibatch
from thinc.api import Model
from torch import Tensor, nn

from .encoding import encode_documents
from .layout import lay_out
from .model import get_settings, get_shim
from .network.attention import group_windows, row_indices
from .network.module import Encoder
from .network.transformer import Transformer
from .quantized import linears_of
from .vectors import PieceVectors

# Rows of a layer's input that are kept, for what is not to be had of sums and bounds.
KEPT_INPUTS = 512


class InputStatistics:
    """The inputs of one linear layer.

    inputs (int): Their width.

    `low` and `high` (Tensor) are the bounds of each channel, (inputs,); `rows` (Tensor) are whole inputs, chosen at
    random, (KEPT_INPUTS at most, inputs).
    """

    def __init__(self, inputs: int) -> None:
        self.low, self.high = torch.full((inputs,), torch.inf), torch.full((inputs,), -torch.inf)
        self.rows = torch.empty(0, inputs)
        self._keys = np.empty(0)
        self._random = np.random.default_rng(0)

    def add(self, rows: Tensor) -> None:
        """Take more inputs into account. rows (Tensor): (rows, inputs)."""
        rows = rows.detach().float().cpu()
        self.low, self.high = torch.minimum(self.low, rows.amin(0)), torch.maximum(self.high, rows.amax(0))
        # Those of the smallest random numbers so far: each input is as likely as any other.
        keys = np.concatenate([self._keys, self._random.random(len(rows))])
        chosen = np.argsort(keys)[:KEPT_INPUTS]
        self._keys, self.rows = keys[chosen], torch.cat([self.rows, rows])[torch.from_numpy(chosen)]


def observe(
    model: Model[list[Doc], PieceVectors], docs: Iterable[Doc], batch_size: int = 16
) -> dict[str, InputStatistics]:
    """Encode documents, and watch what the linear layers that may be in int8 are given.

    model (Model[list[Doc], PieceVectors]): An encoder with our network, in floats.
    docs (Iterable[Doc]): The documents.
    batch_size (int): How many are encoded together.
    RETURNS (dict[str, InputStatistics]): By the layers' names; empty ones where no document has a word.
    """
    shim, settings = get_shim(model), get_settings(model)
    with observe_inputs(shim.encoder) as found, torch.no_grad():
        for batch in minibatch((doc for doc in docs if len(doc)), batch_size):
            layout = lay_out(shim.pieces, settings, batch, is_train=False)
            encode_documents(layout, shim.pieces, settings.max_batch_pieces, shim.encoder)
    return found


@contextmanager
def observe_inputs(encoder: Encoder) -> Iterator[dict[str, InputStatistics]]:
    """Watch the inputs of the linear layers that may be in int8, meanwhile.

    encoder (Encoder): The encoder, with our network.
    YIELDS (dict[str, InputStatistics]): What they are given, by the layers' names.
    """
    found = {name: InputStatistics(linear.in_features) for name, linear in linears_of(encoder)}
    own: list[Tensor] = []

    def remember_rows(module: nn.Module, given: tuple[Any, ...]) -> None:
        # Between the windows are rows that are nobody's.
        own[:] = [row_indices(group_windows(given[2], given[0].device)).to(given[0].device)]

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, given: tuple[Any, ...]) -> None:
            found[name].add(given[0][own[0]] if name.startswith("network.") else given[0])

        return hook

    with ExitStack() as stack:
        assert isinstance(encoder.network, Transformer)
        stack.callback(encoder.network.register_forward_pre_hook(remember_rows).remove)
        for name, linear in linears_of(encoder):
            stack.callback(linear.register_forward_pre_hook(watch(name)).remove)
        yield found
