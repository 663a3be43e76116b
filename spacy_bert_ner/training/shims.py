"""The torch modules of trained layers, through our encoders' shim or through thinc's own."""

from collections.abc import Mapping
from typing import Any, cast

from thinc.api import PyTorchShim
from torch import Tensor, nn

from spacy_bert_ner.encoder.shim import EncoderShim


class ThincShim:
    """thinc's own shim, with the methods of an EncoderShim that return and restore what training changes.

    shim (PyTorchShim): The shim; its state is accessible by private names only.
    """

    def __init__(self, shim: PyTorchShim) -> None:
        self.id = shim.id
        self._shim = shim
        self._scaler: Any = shim._grad_scaler

    @property
    def module(self) -> nn.Module:
        """RETURNS (Module): The torch module, which the shim may replace when it is loaded."""
        return cast(nn.Module, self._shim._model)

    @property
    def scales_gradients(self) -> bool:
        """RETURNS (bool): Whether mixed precision multiplies gradients, and leaves out a step where they overflow."""
        return bool(self._scaler._enabled)

    def load_weights(self, state: Mapping[str, Tensor]) -> None:
        """Load weights. state (Mapping[str, Tensor]): By the names of the module's state_dict."""
        self.module.load_state_dict(state)

    def training_state(self) -> list[float]:
        """RETURNS (list[float]): What mixed precision multiplies gradients by, and the steps since it changed."""
        return [float(self._scaler._scale), int(self._scaler._growth_tracker)]

    def load_training_state(self, state: list[float]) -> None:
        """Restore what `training_state` gave."""
        self._scaler._scale.fill_(state[0])
        self._scaler._growth_tracker.fill_(int(state[1]))


def module_of(shim: EncoderShim | ThincShim) -> nn.Module:
    """RETURNS (Module): The torch module that a shim holds, its weights in fp32."""
    return shim.encoder if isinstance(shim, EncoderShim) else shim.module
