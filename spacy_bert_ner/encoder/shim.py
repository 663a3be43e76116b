"""The torch side of the encoder: its weights, their dtypes, the way forward and back, and the way to disk."""

import copy
import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast

import srsly
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from thinc.api import Optimizer, Shim, get_torch_default_device, torch2xp, xp2torch
from thinc.types import FloatsXd
from torch import Tensor, nn

from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.storage.models import DamagedError

from .building import build_encoder
from .freezing import freeze_layers
from .network.module import Encoder
from .network.packing import pack
from .network.precision import LossScale, choose_dtype
from .pieces import HOLDERS, WordPieces
from .saved import SavedEncoder
from .settings import check_vocabulary, check_window
from .stored import StoredWeights, describe

NOT_THERE = "The encoder is not there yet: call nlp.initialize(), or load a trained pipeline"
WEIGHTS_ERROR = (
    "The saved encoder does not fit: {error}. Load it with the versions in the model's meta.json "
    '("spacy_bert_ner", "versions"), or train it anew.'
)
NO_GRADIENT = (
    "The encoder learns nothing: nobody sent a gradient back after the last {count} updates. Only the last component "
    "that listens to it does so, and it is frozen or left out of training here. Put it before the components that are "
    'trained, or detach it: [components.NAME] replace_listeners = ["model.tok2vec"]. If nothing shall move the '
    "encoder, set trainable = false in its own section of the config, or add its component to [training] "
    "frozen_components and annotating_components."
)


# By shim, the file that its weights go to or come from, while a component is saved or loaded.
_FILES: ContextVar[dict[int, Path]] = ContextVar("weights_files", default={})  # noqa: B039


def be_a_worker() -> None:
    """Compute in one thread: worker processes are parallel already.

    A forked process has no threads but the one that forked, and the OpenMP runtime, which does not know, waits for the
    others for ever.
    """
    torch.set_num_threads(1)
    # Another thread of the parent may have held one of these at the moment of the fork.
    for holder in list(HOLDERS):
        holder.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=be_a_worker)


class EncoderShim(Shim):
    """Holds the encoder for thinc, safely for several threads that predict at once.

    Training has fp32 weights and computes in the chosen dtype by autocast. Prediction in another dtype than fp32 has
    weights in that one, cast once and again after training has changed them. A pipeline that was loaded to
    predict has those alone: the fp32 weights stay on the disk (stored.py) until training, saving or pickling wants
    them. The module stays in evaluation mode but for the moment in which training runs it forward, so that
    prediction need not switch it.

    encoder (Encoder | None): The module, None until it is initialized or loaded.
    pieces (WordPieces | None): Its tokenizer.
    precision (str): See precision.choose_dtype.
    window (int | None): The maximum number of pieces of a window; a saved encoder that reads fewer is refused.
    trainable (bool): Whether training moves it.
    frozen_layers (int): How many of its first layers training leaves as they are, and with them its embeddings.
    """

    def __init__(
        self,
        encoder: Encoder | None,
        pieces: WordPieces | None,
        precision: str,
        window: int | None = None,
        *,
        trainable: bool = True,
        frozen_layers: int = 0,
    ) -> None:
        super().__init__(None)
        choose_dtype(precision, torch.device("cpu"))
        self.precision = precision
        self.window = window
        self.trainable = trainable
        self.frozen_layers = frozen_layers
        self._pieces = pieces
        self.renew_lock()
        self._device = get_torch_default_device()
        # How the module is built, and where its weights are; both are None where it is here.
        self._saved: SavedEncoder | None = None
        self._stored: StoredWeights | None = None
        self._fast: Encoder | None = None
        self._loss_scale = LossScale()
        self._unanswered = 0
        if encoder is not None and pieces is not None:
            self.set_encoder(encoder, pieces)

    def renew_lock(self) -> None:
        """Begin with a lock that nobody holds."""
        self._lock = threading.RLock()
        HOLDERS.add(self)

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("id", "_lock", "_fast", "_stored", "_saved", "_model", "_pieces")
        plain = {name: value for name, value in vars(self).items() if name not in left_out}
        return plain | {"bytes": self.to_bytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        content = state.pop("bytes")
        self.__init__(None, None, state["precision"])  # type: ignore[misc]
        vars(self).update(state)
        self.from_bytes(content)
        # A process that was spawned for `nlp.pipe(n_process=...)`; it does not know its parent yet, only its own name.
        if multiprocessing.current_process().name != "MainProcess":
            be_a_worker()

    def set_encoder(self, encoder: Encoder, pieces: WordPieces) -> None:
        """Put a module and its tokenizer in, on thinc's device, in evaluation mode."""
        self._device = get_torch_default_device()
        self._model = encoder.to(self._device).eval()
        freeze_layers(encoder, self.frozen_layers)
        self._pieces = pieces
        self._saved = self._stored = self._fast = None

    @property
    def is_there(self) -> bool:
        """RETURNS (bool): Whether there is an encoder, here or on the disk."""
        return self._model is not None or self._stored is not None

    @property
    def encoder(self) -> Encoder:
        """RETURNS (Encoder): The module with fp32 weights, read from the disk if need be. RAISES: ValueError before
        initialization.
        """
        with self._lock:
            if self._model is None:
                if self._stored is None:
                    raise ValueError(NOT_THERE)
                self.set_encoder(self._build(torch.float32), self.pieces)
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
        return choose_dtype(self.precision, self._device)

    def predict(self, fwd_args: Callable[[Encoder], Tensor]) -> Tensor:
        """Run the module without gradients.

        fwd_args (Callable[[Encoder], Tensor]): What to do with the module.
        RETURNS (Tensor): Its result.
        """
        encoder = self.encoder if self.dtype == torch.float32 else self._in_fast_dtype()
        # Not inference_mode: what an encoder caches in it (rotary tables, say) could not be trained with afterwards.
        with torch.no_grad():
            return fwd_args(encoder)

    def _in_fast_dtype(self) -> Encoder:
        with self._lock:
            if self._fast is None:
                if self._model is None and self._stored is not None:
                    fast = self._build(self.dtype).to(self._device)
                else:
                    # Told that they are copied already, deepcopy takes the cast tensors in the others' place. Buffers
                    # stay as they are: rotary frequencies would turn whole windows by the rounding of a short dtype.
                    cast_already = {id(param): self._cast(param) for param in self.encoder.parameters()}
                    fast = copy.deepcopy(self.encoder, cast_already).eval()
                self._fast = pack(fast)
            return self._fast

    def _cast(self, param: nn.Parameter) -> nn.Parameter:
        return nn.Parameter(param.detach().to(self.dtype), requires_grad=False)

    def _build(self, dtype: torch.dtype) -> Encoder:
        """Build the module of what is on the disk."""
        assert self._saved is not None
        assert self._stored is not None
        return _build(self._saved, self._stored.tensors, dtype)

    def begin_update(self, fwd_args: Callable[[Encoder], Tensor]) -> tuple[Tensor, Callable[[Tensor], None]]:
        """Run the module in training mode.

        fwd_args (Callable[[Encoder], Tensor]): What to do with the module.
        RETURNS (tuple[Tensor, Callable[[Tensor], None]]): Its result in fp32, and a callback that takes the result's
            gradient and adds to the weights' gradients.
        """
        if not self.trainable:
            return self.predict(fwd_args).float(), lambda d_output: None
        encoder = self.encoder
        # Twice in a row, as an error may have come in between once.
        if self._unanswered == 2:
            warnings.warn(NO_GRADIENT.format(count=self._unanswered), stacklevel=2)
        self._unanswered += 1
        autocast = nullcontext() if self.dtype == torch.float32 else torch.autocast(self.device.type, dtype=self.dtype)
        encoder.train()
        try:
            with autocast:
                output = fwd_args(encoder).float()
        finally:
            encoder.eval()
        # Only fp16's range is so small that gradients vanish in it.
        scale = self._loss_scale.value if self.dtype == torch.float16 else 1.0

        def backprop(d_output: Tensor) -> None:
            self._unanswered = 0
            # Where all layers are frozen and nothing is newly initialised, there is nothing to send it back to.
            if output.requires_grad:
                torch.autograd.backward(output, d_output * scale if scale != 1.0 else d_output)

        return output, backprop

    def finish_update(self, optimizer: Optimizer) -> None:
        """Give every weight that has a gradient to the optimizer, and drop the gradients."""
        if not self.trainable or self._model is None:
            return
        named = [(name, param) for name, param in self.encoder.named_parameters() if param.grad is not None]
        if self.dtype != torch.float16 or self._loss_scale.take_out([param for _, param in named]):
            # An optimizer of torch tensors may keep the gradients, which are given away: no copies.
            take = getattr(optimizer, "take", None)
            for name, param in named:
                if take is not None:
                    take((self.id, name), param.data, param.grad)
                    continue
                weights, _ = optimizer(
                    (self.id, name),
                    cast(FloatsXd, torch2xp(param.data)),
                    cast(FloatsXd, torch2xp(cast(Any, param.grad))),
                )
                changed = xp2torch(weights, device=param.device)
                if changed.data_ptr() != param.data_ptr():
                    param.data.copy_(changed)
        for _, param in named:
            param.grad = None
        self.forget_cast()

    def forget_cast(self) -> None:
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
        """RETURNS (EncoderShim): A copy with weights and an id of its own, so that an optimizer tells them apart."""
        copied = EncoderShim(
            None, None, self.precision, self.window, trainable=self.trainable, frozen_layers=self.frozen_layers
        )
        pieces = WordPieces.from_dict(self.pieces.to_dict()) if self.is_there else None
        if self._model is not None and pieces is not None:
            copied.set_encoder(copy.deepcopy(self.encoder), pieces)
        else:
            copied._pieces, copied._saved, copied._stored = pieces, self._saved, self._stored
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
        """RETURNS (bytes): The encoder's config, its tokenizer, and its weights in fp32 as safetensors."""
        if not self.is_there:
            return cast(bytes, srsly.msgpack_dumps({}))
        saved = self._saved or SavedEncoder.of(self.encoder, self.pieces)
        weights = self._weights()
        path = _FILES.get().get(id(self))
        if path is None:
            return saved.to_bytes(weights=weights)
        write_atomically(path, weights)
        return saved.to_bytes(file=describe(weights))

    def _weights(self) -> bytes:
        if self._stored is not None:
            return self._stored.read()
        # Tied weights are one tensor under several names, which safetensors refuses.
        state = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in self.encoder.state_dict().items()}
        return save_safetensors(state)

    def from_bytes(self, bytes_data: bytes) -> "EncoderShim":
        """Load what `to_bytes` gave, of this version or of 0.1.0.

        RETURNS: The shim.
        RAISES: ValueError where the weights do not fit the config, or the window does not fit the encoder;
            DamagedError where they are in a file that is not what was saved.
        """
        saved, weights = SavedEncoder.from_bytes(bytes_data)
        if saved is None:
            return self
        pieces = WordPieces.from_dict(saved.pieces)
        if self.window is not None:
            check_window(self.window, pieces, "the saved encoder")
        if rows := saved.config.get("vocab_size"):
            check_vocabulary(pieces, rows, "The saved encoder")
        if weights is not None:
            self.set_encoder(_build(saved, lambda: load_safetensors(weights), torch.float32), pieces)
            return self
        path = _FILES.get().get(id(self))
        if path is None or saved.file is None:
            raise ValueError("The encoder's weights were saved to a file beside its component: load it with from_disk")
        stored = StoredWeights(path, saved.file)
        self._model = self._fast = None
        self._pieces, self._saved, self._stored = pieces, saved, stored
        self._device = get_torch_default_device()
        return self


def _build(saved: SavedEncoder, tensors: Callable[[], Any], dtype: torch.dtype) -> Encoder:
    """Build a module of what was saved. RAISES: ValueError where its weights do not fit its config."""
    try:
        return build_encoder(
            saved.config,
            case_features=saved.case_features,
            document_memory=saved.document_memory,
            state=tensors(),
            dtype=dtype,
        )
    except DamagedError:
        raise
    except (KeyError, RuntimeError, SafetensorError, ValueError) as error:
        raise ValueError(WEIGHTS_ERROR.format(error=error)) from error
