"""Everything that training changes in a pipeline's models, under names that are the same in every process.

thinc numbers models in the order of their creation, which differs between processes. The names used here consist of the
component, the index of the layer in it, and the parameter's own name: `bert_ner/3/W`, or `transformer/0/shim0/NAME`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np
import torch
from spacy.language import Language
from thinc.api import Model, PyTorchShim, Shim, to_numpy, torch2xp, xp2torch
from thinc.types import FloatsXd
from torch import Tensor

from spacy_bert_ner.encoder.shim import EncoderShim

from .optimizer import Key
from .shims import ThincShim, module_of
from .training_error import RunError

Tensors = dict[str, Tensor]


class Parameters:
    """The models of the components that are trained.

    nlp (Language): The initialized pipeline.
    frozen (Iterable[str]): Components that are not trained.
    RAISES: RunError where a component's weights are in neither thinc nor torch.
    """

    def __init__(self, nlp: Language, frozen: Iterable[str]) -> None:
        self.nodes: dict[str, Model] = {}
        shims: dict[str, Shim] = {}
        seen: set[int] = set()
        for name, component in nlp.pipeline:
            model = getattr(component, "model", None)
            if name in frozen or not getattr(component, "is_trainable", False) or not isinstance(model, Model):
                continue
            for i, node in enumerate(model.walk()):
                # Components may share layers.
                if id(node) not in seen:
                    seen.add(id(node))
                    self.nodes[f"{name}/{i}"] = node
                    # An encoder that is not trained stays as it was loaded.
                    moved = [shim for shim in node.shims if not (isinstance(shim, EncoderShim) and not shim.trainable)]
                    shims |= {f"{name}/{i}/shim{j}": shim for j, shim in enumerate(moved)}
        self.shims = {place: _known(place, shim) for place, shim in shims.items()}

    def names(self) -> dict[Key, str]:
        """RETURNS (dict[Key, str]): The name of each parameter, by the key under which optimizers know it."""
        names = {
            (node.id, param): f"{place}/{param}" for place, node in self.nodes.items() for param in node.param_names
        }
        for place, shim in self.shims.items():
            names |= {(shim.id, param): f"{place}/{param}" for param, _ in module_of(shim).named_parameters()}
        return names

    def tensors(self) -> Tensors:
        """RETURNS (Tensors): All weights, and torch's buffers, by name; not copied where they are on the CPU."""
        tensors = {
            f"{place}/{param}": as_tensor(node.get_param(param))
            for place, node in self.nodes.items()
            for param in node.param_names
            if node.has_param(param)
        }
        for place, shim in self.shims.items():
            tensors |= {f"{place}/{name}": tensor for name, tensor in module_of(shim).state_dict().items()}
        return tensors

    def trained(self) -> Tensors:
        """RETURNS (Tensors): What optimizers update, by name, not copied: all weights except frozen ones."""
        trained = {
            f"{place}/{param}": xp2torch(node.get_param(param))
            for place, node in self.nodes.items()
            for param in node.param_names
            if node.has_param(param)
        }
        for place, shim in self.shims.items():
            trained |= {
                f"{place}/{name}": param.detach()
                for name, param in module_of(shim).named_parameters()
                if param.requires_grad
            }
        return trained

    def move_to(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace the memory of the weights that `trained` gives. tensors: The new memory, by name."""
        for place, node in self.nodes.items():
            for param in node.param_names:
                if node.has_param(param):
                    node.set_param(param, cast(FloatsXd, torch2xp(tensors[f"{place}/{param}"])))
        for place, shim in self.shims.items():
            for name, weights in module_of(shim).named_parameters():
                if weights.requires_grad:
                    weights.data = tensors[f"{place}/{name}"]

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Load weights, in place. RAISES: RunError where they are not this pipeline's."""
        expected = self.tensors()
        odd = [name for name in expected.keys() ^ tensors.keys() if name not in expected or name not in tensors]
        odd += [name for name in expected.keys() & tensors.keys() if expected[name].shape != tensors[name].shape]
        if odd:
            raise RunError(
                f"The checkpoint does not fit the pipeline: {', '.join(sorted(odd)[:5])} ({len(odd)} in all) are "
                "missing in one of them or have another shape. Start over with --fresh."
            )
        for place, node in self.nodes.items():
            for param in node.param_names:
                if node.has_param(param):
                    array = node.ops.asarray(cast(Any, tensors[f"{place}/{param}"].numpy()))
                    cast(Any, node.get_param(param))[...] = array
        for place, shim in self.shims.items():
            shim.load_weights({name: tensors[f"{place}/{name}"] for name in module_of(shim).state_dict()})

    def state(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): What changes beside the weights, for JSON."""
        return {
            "attributes": {place: plain_attributes(node) for place, node in self.nodes.items()},
            # thinc and its torch shims keep gradients, as zeros, and move what has one.
            "gradients": [
                *(f"{place}/{name}" for place, node in self.nodes.items() for name in node.grad_names),
                *(
                    f"{place}/{name}"
                    for place, shim in self.shims.items()
                    for name, param in module_of(shim).named_parameters()
                    if param.grad is not None
                ),
            ],
            "scales": {place: shim.training_state() for place, shim in self.shims.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` gave."""
        kept = set(state["gradients"])
        for place, node in self.nodes.items():
            load_attributes(node, state["attributes"][place])
            for name in node.param_names:
                if f"{place}/{name}" in kept:
                    node.set_grad(name, node.ops.alloc(node.get_param(name).shape))
        for place, shim in self.shims.items():
            shim.load_training_state(state["scales"][place])
            for name, param in module_of(shim).named_parameters():
                if f"{place}/{name}" in kept:
                    param.grad = torch.zeros_like(param)


def _known(place: str, shim: Shim) -> EncoderShim | ThincShim:
    """Find the interface to a shim's weights. RAISES: RunError where there is none."""
    if isinstance(shim, EncoderShim):
        return shim
    if isinstance(shim, PyTorchShim):
        return ThincShim(shim)
    raise RunError(
        f"Component {place.split('/')[0]!r} keeps its weights in a {type(shim).__name__}, expected thinc's own or "
        "torch's: its training cannot be resumed, train it with `python -m spacy train`"
    )


def as_tensor(array: Any) -> Tensor:
    """RETURNS (Tensor): An array of thinc's as a tensor that shares its memory, where that is the CPU's."""
    return torch.from_numpy(np.ascontiguousarray(to_numpy(array)))


def plain_attributes(node: Model) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): A layer's attributes that are plain values or sets of them: training changes some."""
    plain: dict[str, Any] = {}
    for name, value in node.attrs.items():
        if isinstance(value, set) and all(isinstance(item, int | str) for item in value):
            plain[name] = {"set": sorted(value)}
        elif value is None or isinstance(value, bool | int | float | str):
            plain[name] = value
    return plain


def load_attributes(node: Model, saved: dict[str, Any]) -> None:
    """Restore what `plain_attributes` gave."""
    for name, value in saved.items():
        if isinstance(value, dict):
            # Others may hold the same set.
            node.attrs[name].clear()
            node.attrs[name].update(value["set"])
        else:
            node.attrs[name] = value
