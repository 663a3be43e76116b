"""An encoder that is not a module: what it is built of and its weights, in a file or in memory.

              ┌─► module in fp32, for training
file | bytes ─┼─► module in the dtype of prediction, its weights packed
              └─► module in int8, where the weights are in int8 and the processor multiplies those right
"""

import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.storage.stored_files import describe_file

from .network.int8_probe import find_int8_obstacle
from .network.module import Encoder
from .network.packing import pack_linears
from .pieces import WordPieces
from .saved import SavedEncoder
from .settings import EncoderSettings
from .stored import HeldWeights, StoredWeights, dump_weights

NO_TRAINING = (
    "The encoder is in int8, of which nothing can be trained. Train the pipeline that it was made of, {source}, and "
    "quantize the result: python -m spacy bert-ner quantize MODEL DATA OUT. To train others beside it, set "
    "[{section}] trainable = false"
)
NOT_QUANTIZED = (
    '[{section}] precision = "int8" is for an encoder that was quantized, and this one is in floats. Leave it at '
    '"auto", and quantize the trained pipeline: python -m spacy bert-ner quantize MODEL DATA OUT'
)
IN_FLOATS = "The encoder's weights are in int8, but are computed with in {dtype} here, more slowly: {obstacle}"


@dataclass(frozen=True)
class EncoderAtRest:
    """What an encoder is built of, and its weights.

    saved (SavedEncoder): What it is built of.
    weights (StoredWeights | HeldWeights): In a file, or in memory.
    """

    saved: SavedEncoder
    weights: StoredWeights | HeldWeights

    @classmethod
    def of(cls, encoder: Encoder, pieces: WordPieces) -> "EncoderAtRest":
        """RETURNS (EncoderAtRest): Of a module with fp32 weights."""
        return cls(SavedEncoder.of(encoder, pieces), HeldWeights(dump_weights(encoder.state_dict())))

    @classmethod
    def read(cls, content: bytes, path: Path | None) -> "EncoderAtRest | None":
        """Read what `write` gave.

        content (bytes): msgpack.
        path (Path | None): The file of the weights, if they are in one.
        RETURNS (EncoderAtRest | None): What was saved; None where there was no encoder yet.
        RAISES: ValueError where the weights are in a file and none is given; DamagedModelError where it is not what was
            saved.
        """
        saved, weights = SavedEncoder.from_bytes(content)
        if saved is None:
            return None
        if weights is not None:
            return cls(saved, HeldWeights(weights))
        if path is None or saved.file is None:
            raise ValueError("The encoder's weights were saved to a file beside its component: load it with from_disk")
        return cls(saved, StoredWeights(path, saved.file))

    def write(self, path: Path | None) -> bytes:
        """RETURNS (bytes): msgpack, which holds the weights as safetensors; they go to a file where one is given."""
        weights = self.weights.read()
        if path is None:
            return self.saved.to_bytes(weights=weights)
        write_atomically(path, weights)
        return self.saved.to_bytes(file=describe_file(weights))

    @property
    def is_quantized(self) -> bool:
        """RETURNS (bool): Whether its weights are in int8."""
        return self.saved.quantized_from is not None

    def build_for_training(self, settings: EncoderSettings) -> Encoder:
        """RETURNS (Encoder): The module with fp32 weights. RAISES: ValueError where they are in int8."""
        if self.is_quantized:
            raise ValueError(NO_TRAINING.format(source=self.saved.quantized_from, section=settings.section))
        return self.saved.build(self.weights.tensors, torch.float32)

    def build_for_prediction(self, settings: EncoderSettings, dtype: torch.dtype, device: torch.device) -> Encoder:
        """RETURNS (Encoder): A module that cannot be trained or saved."""
        if self.is_quantized and settings.precision == "int8":
            on_gpu = f"int8 is for processors, and the pipeline is on {device}" if device.type != "cpu" else ""
            obstacle = on_gpu or find_int8_obstacle()
            if not obstacle:
                return self.saved.build(self.weights.tensors, dtype, in_int8=True)
            warn_once(IN_FLOATS.format(dtype=str(dtype).removeprefix("torch."), obstacle=obstacle))
        return pack_linears(self.saved.build(self.weights.tensors, dtype).to(device))


def refuse_floats_as_int8(settings: EncoderSettings) -> None:
    """Refuse a precision of int8 for weights that are not. RAISES: ValueError."""
    if settings.precision == "int8":
        raise ValueError(NOT_QUANTIZED.format(section=settings.section))


@cache
def warn_once(message: str) -> None:
    """Warn, once in a process."""
    warnings.warn(message, stacklevel=2)
