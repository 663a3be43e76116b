"""An encoder of its config and its weights, whatever names and dtype these come with.

    checkpoint   bert.encoder.layer.3.attention.self.query.weight  ┐
    0.1.0        transformer.encoder.layer.3.attention.self. …      ├─► network.layer.3.attention.qkv.weight
    this version network.layer.3.attention.qkv.weight              ┘

Weights are taken one at a time and copied, so that a mapping over a file need never be in memory as a whole.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .network.foreign import Foreign, make_foreign
from .network.kinds import TRANSFORMER_KINDS, Kind, NetworkShape, find_obstacle
from .network.module import Encoder
from .network.transformer import Transformer

# What weights may come in; shorter ones have scales beside them.
READABLE = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
# What 0.1.0 put before the names of Hugging Face's module.
OLD = "transformer."


def build_encoder(
    config: dict[str, Any],
    *,
    case_features: bool,
    document_memory: bool,
    state: Mapping[str, Tensor],
    dtype: torch.dtype = torch.float32,
) -> Encoder:
    """Build an encoder; no random numbers are drawn.

    config (dict[str, Any]): The transformer's config.json.
    case_features, document_memory (bool): See Encoder.
    state (Mapping[str, Tensor]): The weights by this version's names, or 0.1.0's.
    dtype (torch.dtype): Of the parameters; buffers stay as they are.
    RETURNS (Encoder): In evaluation mode, on the CPU.
    RAISES: ValueError where weights are missing, are too many, or have another shape.
    """
    known = not find_obstacle(config)
    with torch.device("meta"):
        network: Transformer | Foreign | None = Transformer(NetworkShape.of(config)) if known else None
    network = make_foreign(config) if network is None else network
    with torch.device("meta"):
        encoder = Encoder(network, config, case_features, document_memory)
    names = translate(config, encoder, state) if known else rename_foreign(encoder, state)
    check_names(names, state)
    fill(encoder, names, state, dtype)
    return encoder.eval()


def translate(config: dict[str, Any], encoder: nn.Module, state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Say which of the state's tensors make up each parameter of an encoder with our network.

    config (dict[str, Any]): The transformer's config.json.
    encoder (Module): The encoder.
    state (Mapping[str, Tensor]): The weights.
    RETURNS (dict[str, list[str]]): Names in the state, joined in this order, by the parameter's name.
    """
    own = [name for name, _ in encoder.named_parameters()]
    if not any(name.startswith(OLD) for name in state):
        return {name: [name] for name in own}
    theirs = checkpoint_names(config, OLD)
    return {name: theirs.get(name.removeprefix("network."), [name]) for name in own}


def checkpoint_names(config: dict[str, Any], prefix: str) -> dict[str, list[str]]:
    """Say how a checkpoint calls the parameters of our network.

    config (dict[str, Any]): Its config.json.
    prefix (str): What stands before every name.
    RETURNS (dict[str, list[str]]): Its names, joined in this order, by the network's.
    """
    kind, shape = TRANSFORMER_KINDS[config["model_type"]], NetworkShape.of(config)
    places = {
        "embeddings.words": ["embeddings.word_embeddings"],
        "embeddings.positions": ["embeddings.position_embeddings"],
        "embeddings.types": ["embeddings.token_type_embeddings"],
        "embeddings.norm": ["embeddings.LayerNorm"],
        "embeddings.project": ["embeddings_project"],
        "relative": [kind.relative or ""],
        **{key: value for layer in range(shape.layers) for key, value in _layer_places(kind, layer)},
    }
    return {
        f"{ours}.{part}": [f"{prefix}{place}.{part}" for place in theirs]
        for ours, theirs in places.items()
        for part in ("weight", "bias")
    }


def _layer_places(kind: Kind, layer: int) -> Iterator[tuple[str, list[str]]]:
    names = kind.layer
    parts = {
        "attention.qkv": (names.query, names.key, names.value),
        "attention.mix": (names.mix,),
        "attention.norm": (names.mix_norm,),
        "expand": (names.expand,),
        "contract": (names.contract,),
        "norm": (names.norm,),
    }
    for ours, theirs in parts.items():
        yield f"layer.{layer}.{ours}", [f"{kind.layers}.{layer}.{name}" for name in theirs]


def rename_foreign(encoder: nn.Module, state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Say the same of an encoder of another kind: 0.1.0 kept its transformer one level higher."""
    old = any(name.startswith(OLD) for name in state)
    return {name: [name.removeprefix("network.") if old else name] for name in encoder.state_dict()}


def check_names(names: Mapping[str, list[str]], state: Mapping[str, Tensor]) -> None:
    """Compare what an encoder wants with what there is.

    names (Mapping[str, list[str]]): By the name of each parameter or buffer, what it is joined of.
    state (Mapping[str, Tensor]): The weights.
    RAISES: ValueError where weights are missing or too many.
    """
    wanted = {name for parts in names.values() for name in parts}
    missing = sorted(wanted - state.keys())
    odd = sorted(name for name in state.keys() - wanted if not _is_dropped(name))
    if missing or odd:
        raise ValueError(f"{_count('missing', missing)}{' and ' if missing and odd else ''}{_count('unexpected', odd)}")


def fill(encoder: nn.Module, names: Mapping[str, list[str]], state: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Put weights in, one at a time.

    encoder (Module): The encoder, its parameters on any device.
    names (Mapping[str, list[str]]): By the name of each parameter or buffer, what it is joined of.
    state (Mapping[str, Tensor]): The weights; it may have others, too.
    dtype (torch.dtype): Of the parameters.
    RAISES: ValueError where weights have another shape.
    """
    with torch.no_grad():
        for name, parts in names.items():
            module, _, leaf = name.rpartition(".")
            owner = encoder.get_submodule(module)
            before = getattr(owner, leaf)
            tensor = torch.cat([state[part] for part in parts]) if len(parts) > 1 else state[parts[0]]
            if tensor.dtype not in READABLE and isinstance(before, nn.Parameter):
                raise ValueError(f"{name} is of dtype {tensor.dtype}, which would need scales: expected floats")
            if tensor.shape != before.shape:
                raise ValueError(f"{name} has the shape {tuple(tensor.shape)}, expected {tuple(before.shape)}")
            if isinstance(before, nn.Parameter):
                owner._parameters[leaf] = nn.Parameter(torch.empty(tensor.shape, dtype=dtype).copy_(tensor))
            else:
                owner._buffers[leaf] = tensor.clone()


def _is_dropped(name: str) -> bool:
    """Say whether weights are of no use here: what pools a text into one vector, and numbers of positions."""
    return "pooler" in name or name.endswith(("position_ids", "token_type_ids"))


def _count(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"weights are {what}: {', '.join(names[:5])}{more}"
