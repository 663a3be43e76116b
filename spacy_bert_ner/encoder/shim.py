"""The torch side of the encoder: its weights, their number types, the way forward and back, and the way to disk."""

import copy
import json
import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import srsly
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from thinc.api import Optimizer, Shim, get_torch_default_device, torch2xp, xp2torch
from thinc.types import FloatsXd
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.modeling_utils import no_init_weights

from .module import Encoder
from .pieces import WordPieces
from .precision import LossScale, choose_dtype
from .settings import check_window

NOT_THERE = "The encoder is not there yet: call nlp.initialize(), or load a trained pipeline"
WEIGHTS_ERROR = (
    "The saved encoder does not fit this version of transformers: {error}. Load it with the versions in the model's "
    'meta.json ("spacy_bert_ner", "versions"), or train it anew.'
)
NO_GRADIENT = (
    "The encoder learns nothing: nobody sent a gradient back after the last {count} updates. Only the last component "
    "that listens to a transformer does so, and it is frozen or left out of training here. Put it before the "
    "components that are trained, or detach it: [components.NAME] replace_listeners = "
    '["model.tok2vec"]. If nothing shall move the encoder, add "transformer" to [training] frozen_components and '
    "annotating_components."
)


def be_a_worker() -> None:
    """Compute in one thread: worker processes are parallel already.

    A forked process has no threads but the one that forked, and the OpenMP runtime, which does not know, waits for the
    others for ever.
    """
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=be_a_worker)


class EncoderShim(Shim):
    """Holds the encoder for thinc, safely for several threads that predict at once.

    Training keeps fp32 weights and computes in the chosen type by autocast. Prediction in another type than fp32 holds
    a second copy of the weights in it, made once and again after the weights have changed: casting them at
    every call would cost more than it saves. The module stays in evaluation mode but for the moment in which
    training runs it forward, so that prediction need not switch it.

    encoder (Encoder | None): The module, None until it is initialized or loaded.
    pieces (WordPieces | None): Its tokenizer.
    precision (str): See precision.choose_dtype.
    window (int | None): The most pieces that it will be given at a stretch; a saved encoder for less is refused.
    """

    def __init__(
        self, encoder: Encoder | None, pieces: WordPieces | None, precision: str, window: int | None = None
    ) -> None:
        super().__init__(encoder)
        choose_dtype(precision, torch.device("cpu"))
        self.precision = precision
        self.window = window
        self._pieces = pieces
        self._lock = threading.Lock()
        self._fast: Encoder | None = None
        self._loss_scale = LossScale()
        self._unanswered = 0

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("id", "_lock", "_fast")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(None, None, state["precision"])  # type: ignore[misc]
        vars(self).update(state)
        # A process that was spawned for `nlp.pipe(n_process=...)`; it does not know its parent yet, only its own name.
        if multiprocessing.current_process().name != "MainProcess":
            be_a_worker()

    def set_encoder(self, encoder: Encoder, pieces: WordPieces) -> None:
        """Put a module and its tokenizer in, on thinc's device, in evaluation mode."""
        self._model = encoder.to(get_torch_default_device()).eval()
        self._pieces = pieces
        self._fast = None

    @property
    def encoder(self) -> Encoder:
        """RETURNS (Encoder): The module. RAISES: ValueError before initialization."""
        if self._model is None:
            raise ValueError(NOT_THERE)
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
        return next(self.encoder.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """RETURNS (torch.dtype): The number type of the matrix products."""
        return choose_dtype(self.precision, self.device)

    def predict(self, fwd_args: Callable[[Encoder], Tensor]) -> Tensor:
        """Run the module without gradients.

        fwd_args (Callable[[Encoder], Tensor]): What to do with the module.
        RETURNS (Tensor): Its result.
        """
        encoder = self.encoder if self.dtype == torch.float32 else self._in_fast_type()
        # Not inference_mode: what an encoder caches in it (rotary tables, say) could not be trained with afterwards.
        with torch.no_grad():
            return fwd_args(encoder)

    def _in_fast_type(self) -> Encoder:
        with self._lock:
            if self._fast is None:
                # Told that they are copied already, deepcopy takes the cast tensors in the others' place. Buffers stay
                # as they are: rotary frequencies, for one, would turn whole windows by the rounding of a short type.
                cast_already = {id(param): self._cast(param) for param in self.encoder.parameters()}
                self._fast = copy.deepcopy(self.encoder, cast_already).eval()
            return self._fast

    def _cast(self, param: nn.Parameter) -> nn.Parameter:
        return nn.Parameter(param.detach().to(self.dtype), requires_grad=False)

    def begin_update(self, fwd_args: Callable[[Encoder], Tensor]) -> tuple[Tensor, Callable[[Tensor], None]]:
        """Run the module in training mode.

        fwd_args (Callable[[Encoder], Tensor]): What to do with the module.
        RETURNS (tuple[Tensor, Callable[[Tensor], None]]): Its result in fp32, and a callback that takes the result's
            gradient and adds to the weights' gradients.
        """
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
            torch.autograd.backward(output, d_output * scale if scale != 1.0 else d_output)

        return output, backprop

    def finish_update(self, optimizer: Optimizer) -> None:
        """Give every weight that has a gradient to the optimizer, and drop the gradients."""
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
        self._fast = None

    @contextmanager
    def use_params(self, params: dict) -> Iterator[None]:
        """Put other weights in for a while.

        params (dict): (shim id, parameter name) to array, as an optimizer's averages are kept.
        """
        named = dict(self.encoder.named_parameters()) if self._model is not None else {}
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
        if self._model is not None:
            self.encoder.to("cpu" if device_type == "cpu" else f"cuda:{device_id}")
        self._fast = None

    def copy(self) -> "EncoderShim":
        """RETURNS (EncoderShim): A copy with weights and an id of its own, so that an optimizer tells them apart."""
        copied = EncoderShim(None, None, self.precision, self.window)
        if self._model is not None:
            copied.set_encoder(copy.deepcopy(self.encoder), WordPieces.from_dict(self.pieces.to_dict()))
        return copied

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): The encoder's config, its tokenizer, and its weights in fp32 as safetensors."""
        if self._model is None:
            return cast(bytes, srsly.msgpack_dumps({}))
        # Tied weights are one tensor under several names, which safetensors refuses.
        state = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in self.encoder.state_dict().items()}
        data = {
            "config": self.encoder.transformer.config.to_json_string(use_diff=False),
            "case_features": self.encoder.case_features,
            "document_memory": self.encoder.memory is not None,
            "pieces": self.pieces.to_dict(),
            "weights": save_safetensors(state),
        }
        return cast(bytes, srsly.msgpack_dumps(data))

    def from_bytes(self, bytes_data: bytes) -> "EncoderShim":
        """Load what `to_bytes` gave.

        RETURNS: The shim.
        RAISES: ValueError where the weights do not fit the config, or the window does not fit the encoder.
        """
        data = srsly.msgpack_loads(bytes_data)
        if not data:
            return self
        settings: dict[str, Any] = json.loads(data["config"])
        pieces = WordPieces.from_dict(data["pieces"])
        if self.window is not None:
            check_window(self.window, pieces, "the saved encoder")
        try:
            config = AutoConfig.for_model(settings.pop("model_type"), **settings)
            # Weights that are about to be replaced need no random numbers, which others may count on.
            with no_init_weights():
                transformer = new_transformer(config, trust_remote_code=False)
                # Models of 0.1.0 say nothing of a memory.
                encoder = Encoder(transformer, data["case_features"], data.get("document_memory", False))
            encoder.load_state_dict(load_safetensors(data["weights"]))
        except (RuntimeError, SafetensorError, ValueError) as error:
            raise ValueError(WEIGHTS_ERROR.format(error=error)) from error
        self.set_encoder(encoder, pieces)
        return self


def new_transformer(config: Any, name: str | None = None, **loading: Any) -> PreTrainedModel:
    """Make a transformer of a config, with the fastest attention that it has.

    config (PretrainedConfig): Its config.
    name (str | None): Folder or Hub id to load the weights from; without it they are random.
    loading (Any): Further arguments of `from_pretrained`, or of `from_config`.
    RETURNS (PreTrainedModel): The transformer.
    """

    def make(attention: str) -> PreTrainedModel:
        if name is None:
            return cast(PreTrainedModel, AutoModel.from_config(config, attn_implementation=attention, **loading))
        return cast(
            PreTrainedModel, AutoModel.from_pretrained(name, config=config, attn_implementation=attention, **loading)
        )

    try:
        return make("sdpa")
    except ValueError as error:
        # MPNet and DeBERTa, among others, have no such implementation.
        if "scaled_dot_product_attention" not in str(error):
            raise
        return make("eager")
