"""How an encoder is written: what it is built of, as msgpack, with its weights beside it or within it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import srsly
import torch
from safetensors import SafetensorError
from torch import Tensor

from spacy_bert_ner.storage.models import DamagedModelError

from .building import build_encoder
from .network.module import Encoder
from .pieces import WordPieces
from .quantized import Dequantized, build_int8

WEIGHTS_ERROR = (
    "The saved encoder does not fit: {error}. Load it with the versions in the model's meta.json "
    '("spacy_bert_ner", "versions"), or train it anew.'
)


@dataclass(frozen=True)
class SavedEncoder:
    """What an encoder is built of, but for its weights.

    config (dict[str, Any]): The transformer's config.json.
    case_features, document_memory (bool): What stands beside the transformer.
    pieces (dict[str, Any]): Its tokenizer: see WordPieces.to_dict.
    file (dict[str, int] | None): Size and checksum of the file that its weights are in, where they are in one.
    quantized_from (str | None): Where its weights are in int8 (quantized.py), the pipeline that they were made of.
    """

    config: dict[str, Any]
    case_features: bool
    document_memory: bool
    pieces: dict[str, Any]
    file: dict[str, int] | None = None
    quantized_from: str | None = None

    @classmethod
    def of(cls, encoder: Encoder, pieces: WordPieces) -> "SavedEncoder":
        """RETURNS (SavedEncoder): What an encoder that is there is built of."""
        return cls(encoder.config, encoder.case_features, encoder.memory is not None, pieces.to_dict())

    def quantized(self, source: str) -> "SavedEncoder":
        """RETURNS (SavedEncoder): The same with weights in int8. source (str): As in `quantized_from`."""
        return replace(self, quantized_from=source, file=None)

    def build(
        self, tensors: Callable[[], Mapping[str, Tensor]], dtype: torch.dtype, *, in_int8: bool = False
    ) -> Encoder:
        """Build the module.

        tensors (Callable[[], Mapping[str, Tensor]]): Gives the weights by name.
        dtype (torch.dtype): Of the parameters.
        in_int8 (bool): Whether weights in int8 are multiplied as such; they are made floats otherwise.
        RETURNS (Encoder): In evaluation mode, on the CPU.
        RAISES: ValueError where the weights do not fit the config; DamagedModelError as `tensors` raises it.
        """
        try:
            state = tensors()
            build = build_int8 if in_int8 else build_encoder
            return build(
                self.config,
                case_features=self.case_features,
                document_memory=self.document_memory,
                state=Dequantized(state) if self.quantized_from is not None and not in_int8 else state,
                dtype=dtype,
            )
        except DamagedModelError:
            raise
        except (KeyError, RuntimeError, SafetensorError, ValueError) as error:
            raise ValueError(WEIGHTS_ERROR.format(error=error)) from error

    def to_bytes(self, *, weights: bytes | None = None, file: dict[str, int] | None = None) -> bytes:
        """Write it.

        weights (bytes | None): The weights as safetensors, where they go with it.
        file (dict[str, int] | None): Size and checksum of the file that they are in otherwise.
        RETURNS (bytes): msgpack.
        """
        data = {
            "config": json.dumps(self.config),
            "case_features": self.case_features,
            "document_memory": self.document_memory,
            "pieces": self.pieces,
            **({} if self.quantized_from is None else {"quantized_from": self.quantized_from}),
            **({"weights": weights} if file is None else {"file": file}),
        }
        return cast(bytes, srsly.msgpack_dumps(data))

    @classmethod
    def from_bytes(cls, content: bytes) -> "tuple[SavedEncoder | None, bytes | None]":
        """Read what `to_bytes`, or version 0.1.0, has written.

        content (bytes): msgpack.
        RETURNS (tuple[SavedEncoder | None, bytes | None]): What the encoder is built of, None where there was none yet;
            and its weights as safetensors, None where they are in a file.
        """
        data = srsly.msgpack_loads(content)
        if not data:
            return None, None
        # The first models of 0.1.0 say nothing of a memory.
        memory = data.get("document_memory", False)
        saved = cls(
            json.loads(data["config"]),
            data["case_features"],
            memory,
            data["pieces"],
            data.get("file"),
            data.get("quantized_from"),
        )
        return saved, data.get("weights")
