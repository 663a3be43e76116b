"""The torch side of the encoder: its weights, their dtypes, the way forward and back, and the way to disk."""

import copy
import multiprocessing
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import srsly
import torch
from thinc.api import Optimizer, Shim, get_torch_default_device, xp2torch
from torch import Tensor

from .at_rest import EncoderAtRest, refuse_floats_as_int8
from .forking import be_a_worker
from .freezing import freeze_layers
from .locks import HOLDERS
from .network.module import Encoder
from .network.packing import pack_linears
from .network.precision import choose_dtype, copy_in_dtype
from .pieces import WordPieces
from .saved import SavedEncoder
from .settings import EncoderSettings, check_vocabulary, check_window
from .stored import HeldWeights, dump_weights
from .updating import Updates

NOT_THERE = "The encoder is not there yet: call nlp.initialize(), or load a trained pipeline"

# By shim, the file that its weights go to or come from, while a component is saved or loaded.
_FILES: ContextVar[dict[int, Path]] = ContextVar("weights_files", default={})  # noqa: B039


class EncoderShim(Shim):
    """Holds the encoder for thinc, safely for several threads that predict at once: none until it is put in or loaded.

    Training has fp32 weights and computes in the chosen dtype by autocast. Prediction in another dtype than fp32 has
    weights in that one, cast once and again after training has changed them. A pipeline that was loaded to predict has
    those alone: the fp32 weights stay on the disk (at_rest.py) until training, saving or pickling wants them. Weights
    in int8 are never made others for more than prediction. The module stays in evaluation mode but for the moment in
    which training runs it forward, so that prediction need not switch it.

    settings (EncoderSettings): For the dtype, for what training moves, and for the window: a saved encoder that reads
        fewer pieces is refused.
    """

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__(None)
        self.settings = settings
        self._pieces: WordPieces | None = None
        self.renew_lock()
        self._device = get_torch_default_device()
        # What the module is built of; None where it is here.
        self._at_rest: EncoderAtRest | None = None
        self._fast: Encoder | None = None
        self._updates = Updates()

    def renew_lock(self) -> None:
        """Start with a free lock."""
        self._lock = threading.RLock()
        HOLDERS.add(self)

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("id", "_lock", "_fast", "_at_rest", "_model", "_pieces")
        plain = {name: value for name, value in vars(self).items() if name not in left_out}
        return plain | {"bytes": self.to_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        content = state.pop("bytes")
        self.__init__(state["settings"])  # type: ignore[misc]
        vars(self).update(state)
        self.from_bytes(content)
        # A process that was spawned for `nlp.pipe(n_process=...)`; it does not know its parent yet, only its own name.
        if multiprocessing.current_process().name != "MainProcess":
            be_a_worker()

    def set_encoder(self, encoder: Encoder, pieces: WordPieces) -> None:
        """Put a module and its tokenizer in, on thinc's device, in evaluation mode.

        RAISES: ValueError where it was to be in int8, which is made of trained weights.
        """
        refuse_floats_as_int8(self.settings)
        self._device = get_torch_default_device()
        self._model = encoder.to(self._device).eval()
        freeze_layers(encoder, self.settings.freeze_layers)
        self._pieces = pieces
        self._at_rest = self._fast = None

    @property
    def trainable(self) -> bool:
        """RETURNS (bool): Whether training moves the encoder."""
        return self.settings.trainable

    @property
    def is_there(self) -> bool:
        """RETURNS (bool): Whether there is an encoder, here or on the disk."""
        return self._model is not None or self._at_rest is not None

    @property
    def encoder(self) -> Encoder:
        """RETURNS (Encoder): The module with fp32 weights, read from the disk if need be. RAISES: ValueError before
        initialization, and where the weights are in int8.
        """
        with self._lock:
            if self._model is None:
                if self._at_rest is None:
                    raise ValueError(NOT_THERE)
                self.set_encoder(self._at_rest.build_for_training(self.settings), self.pieces)
            return cast(Encoder, self._model)

    @property
    def pieces(self) -> WordPieces:
        """RETURNS (WordPieces): The tokenizer. RAISES: ValueError before initialization."""
        if self._pieces is None:
            raise ValueError(NOT_THERE)
        return self._pieces

    @property
    def device(self) -> torch.device:
        """RETURNS (torch.device): Where the weights are."""
        return self._device

    @property
    def dtype(self) -> torch.dtype:
        """RETURNS (torch.dtype): Of the matrix products."""
        return choose_dtype(self.settings.precision, self._device)

    @property
    def scales_gradients(self) -> bool:
        """RETURNS (bool): Whether gradients are multiplied, and a step is left out where they overflow."""
        return self.dtype == torch.float16

    def predict(self, fwd_args: Callable[[Encoder], Tensor]) -> Tensor:
        """Run the module without gradients.

        fwd_args (Callable[[Encoder], Tensor]): What to do with the module.
        RETURNS (Tensor): Its result.
        """
        as_trained = self.dtype == torch.float32 and not self.is_quantized
        encoder = self.encoder if as_trained else self._for_prediction()
        # Not inference_mode: what an encoder caches in it (rotary tables, say) could not be trained with afterwards.
        with torch.no_grad():
            return fwd_args(encoder)

    def _for_prediction(self) -> Encoder:
        with self._lock:
            if self._fast is None:
                if self._model is None and self._at_rest is not None:
                    self._fast = self._at_rest.build_for_prediction(self.settings, self.dtype, self._device)
                else:
                    self._fast = pack_linears(copy_in_dtype(self.encoder, self.dtype))
            return self._fast

    @property
    def at_rest(self) -> EncoderAtRest:
        """RETURNS (EncoderAtRest): What the encoder is built of, and its weights. RAISES: ValueError before
        initialization.
        """
        with self._lock:
            return self._at_rest or EncoderAtRest.of(self.encoder, self.pieces)

    @property
    def is_quantized(self) -> bool:
        """RETURNS (bool): Whether the weights are in int8."""
        return self._at_rest is not None and self._at_rest.is_quantized

    def set_quantized(self, state: Mapping[str, Tensor], source: str) -> None:
        """Replace the encoder by one in int8, and its precision by that.

        state (Mapping[str, Tensor]): What quantizing.quantize_encoder makes of it.
        source (str): What the encoder was quantized from, for whoever wants to train it.
        """
        with self._lock:
            saved = self._at_rest.saved if self._at_rest is not None else SavedEncoder.of(self.encoder, self.pieces)
            self.settings = replace(self.settings, precision="int8")
            self._at_rest = EncoderAtRest(saved.quantized(source), HeldWeights(dump_weights(state)))
            self._model = self._fast = None

    def begin_update(self, fwd_args: Callable[[Encoder], Tensor]) -> tuple[Tensor, Callable[[Tensor], None]]:
        """Run the module in training mode.

        fwd_args (Callable[[Encoder], Tensor]): What to do with the module.
        RETURNS (tuple[Tensor, Callable[[Tensor], None]]): Its result in fp32, and a callback that takes the result's
            gradient and adds to the weights' gradients.
        """
        if not self.trainable:
            return self.predict(fwd_args).float(), lambda d_output: None
        return self._updates.begin(self.encoder, self.dtype, fwd_args)

    def finish_update(self, optimizer: Optimizer) -> None:
        """Give every weight that has a gradient to the optimizer, and drop the gradients."""
        if self.trainable and self._model is not None:
            self._updates.finish(self.encoder, self.dtype, self.id, optimizer)
            self._forget_cast()

    def training_state(self) -> list[float]:
        """RETURNS (list[float]): What training changes beside the weights, for `load_training_state`."""
        return self._updates.state()

    def load_training_state(self, state: list[float]) -> None:
        """Restore what `training_state` gave."""
        self._updates.load_state(state)

    def load_weights(self, state: Mapping[str, Tensor]) -> None:
        """Put other weights in. state (Mapping[str, Tensor]): By the names of the module's state_dict."""
        self.encoder.load_state_dict(state)
        self._forget_cast()

    def _forget_cast(self) -> None:
        """Drop the weights in the dtype of prediction: the fp32 ones have changed."""
        if self._model is not None:
            self._fast = None

    @contextmanager
    def use_params(self, params: dict) -> Iterator[None]:
        """Put other weights in for a while.

        params (dict): (shim id, parameter name) to array, as an optimizer's averages are kept.
        """
        if self._model is None and self.is_there and any(key[0] == self.id for key in params):
            # They are to replace weights that are still on the disk.
            assert self.encoder is not None
        named = dict(self._model.named_parameters()) if self._model is not None else {}
        replaced = {name: params[self.id, name] for name in named if (self.id, name) in params}
        backup = {name: named[name].detach().clone() for name in replaced}
        for name, array in replaced.items():
            named[name].data.copy_(xp2torch(array, device=self.device))
        self._fast = None if replaced else self._fast
        try:
            yield
        finally:
            for name, tensor in backup.items():
                named[name].data.copy_(tensor)
            self._fast = None if replaced else self._fast

    def to_device(self, device_type: str, device_id: int) -> None:
        """Move the weights: "cpu" or "gpu" and its number."""
        self._device = torch.device("cpu" if device_type == "cpu" else f"cuda:{device_id}")
        if self._model is not None:
            self._model.to(self._device)
        self._fast = None

    def copy(self) -> "EncoderShim":
        """RETURNS (EncoderShim): A copy with its own weights and id, which an optimizer knows it by."""
        copied = EncoderShim(self.settings)
        pieces = WordPieces.from_dict(self.pieces.to_dict()) if self.is_there else None
        if self._model is not None and pieces is not None:
            copied.set_encoder(copy.deepcopy(self.encoder), pieces)
        else:
            copied._pieces, copied._at_rest = pieces, self._at_rest
        return copied

    @contextmanager
    def weights_in(self, path: Path) -> Iterator[None]:
        """Write the weights to a file of their own in `to_bytes` meanwhile, and leave them there in `from_bytes`.

        It holds for the calling thread alone: another may want the weights within the bytes.

        path (Path): The file, in the component's folder.
        """
        token = _FILES.set({**_FILES.get(), id(self): path})
        try:
            yield
        finally:
            _FILES.reset(token)

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): The encoder's config, its tokenizer, and its weights as safetensors: fp32, or int8."""
        if not self.is_there:
            return cast(bytes, srsly.msgpack_dumps({}))
        at_rest = self.at_rest
        return at_rest.write(_FILES.get().get(id(self)))

    def from_bytes(self, bytes_data: bytes) -> "EncoderShim":
        """Load what `to_bytes` gave, of this version or of 0.1.0.

        RETURNS: The shim.
        RAISES: ValueError where the weights do not fit the config, the window does not fit the encoder, or the weights
            are in floats and were to be in int8; DamagedModelError where they are in a file that is not what was saved.
        """
        at_rest = EncoderAtRest.read(bytes_data, _FILES.get().get(id(self)))
        if at_rest is None:
            return self
        if not at_rest.is_quantized:
            refuse_floats_as_int8(self.settings)
        saved = at_rest.saved
        pieces = WordPieces.from_dict(saved.pieces)
        check_window(self.settings.window, pieces, self.settings.section, "the saved encoder")
        if rows := saved.config.get("vocab_size"):
            check_vocabulary(pieces, rows, "The saved encoder")
        # What came with its weights has them in memory already.
        if saved.file is None and not at_rest.is_quantized:
            self.set_encoder(at_rest.build_for_training(self.settings), pieces)
            return self
        self._model = self._fast = None
        self._pieces, self._at_rest = pieces, at_rest
        self._device = get_torch_default_device()
        return self
