"""Transformers of the BERT kind, layer by layer over windows that lie one after another without padding.

Hugging Face's own forward pass wants a rectangle: windows padded to the longest. Here all but attention sees one long
row of pieces, and attention sees windows of the same length together (attention.py). The weights stay in Hugging Face's
modules, which only lend them: saving, loading and training know nothing of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import PreTrainedModel

from .attention import Group, attend, group, places, round_up
from .dropout import drop_out


class Names(NamedTuple):
    """Where a kind of transformer keeps the parts of its layers.

    layers (str): The list of layers, within the transformer; all others within a layer.
    query, key, value, mix (str): Linear layers of attention.
    attention_drop (str): Dropout of its probabilities.
    mix_drop (str | None): Dropout behind it.
    mix_norm (str): The norm of its sum with what came in.
    expand, activation, contract (str): The feed-forward network.
    drop (str): Dropout behind it.
    norm (str): The norm of its sum with what came in.
    """

    layers: str
    query: str
    key: str
    value: str
    attention_drop: str
    mix: str
    mix_drop: str | None
    mix_norm: str
    expand: str
    activation: str
    contract: str
    drop: str
    norm: str


_FEED_FORWARD = (
    "intermediate.dense",
    "intermediate.intermediate_act_fn",
    "output.dense",
    "output.dropout",
    "output.LayerNorm",
)
_BERT = Names(
    "encoder.layer",
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.self.dropout",
    "attention.output.dense",
    "attention.output.dropout",
    "attention.output.LayerNorm",
    *_FEED_FORWARD,
)
_MPNET = Names(
    "encoder.layer",
    "attention.attn.q",
    "attention.attn.k",
    "attention.attn.v",
    "attention.attn.dropout",
    "attention.attn.o",
    "attention.dropout",
    "attention.LayerNorm",
    *_FEED_FORWARD,
)
_DISTILBERT = Names(
    "transformer.layer",
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.dropout",
    "attention.out_lin",
    None,
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.activation",
    "ffn.lin2",
    "ffn.dropout",
    "output_layer_norm",
)
# By the config's model_type.
KINDS = {
    "bert": _BERT,
    "camembert": _BERT,
    "distilbert": _DISTILBERT,
    "electra": _BERT,
    "mpnet": _MPNET,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
}


@dataclass(frozen=True)
class Layer:
    """One layer's parts: see Names."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_drop: float
    mix: nn.Linear
    mix_drop: float
    mix_norm: nn.Module
    expand: nn.Linear
    activation: Callable[[Tensor], Tensor]
    contract: nn.Linear
    drop: float
    norm: nn.Module

    @classmethod
    def of(cls, module: nn.Module, names: Names) -> "Layer":
        """RETURNS (Layer): The parts of a transformer's layer."""
        found: dict[str, Any] = {
            field: None if path is None else attrgetter(path)(module)
            for field, path in names._asdict().items()
            if field != "layers"
        }
        for field in ("attention_drop", "mix_drop", "drop"):
            found[field] = 0.0 if found[field] is None else found[field].p
        return cls(**found)

    def __call__(
        self, rows: Tensor, groups: Sequence[Group], heads: int, bias: Tensor | None, training: bool
    ) -> Tensor:
        """RETURNS (Tensor): (rows, width), from (rows, width)."""
        parts = (self.query, self.key, self.value)
        # One product instead of three: the larger it is, the nearer it comes to what the processor can do.
        qkv = linear(rows, torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))
        mixed = self.mix(attend(qkv, groups, heads, bias, self.attention_drop if training else 0.0))
        rows = self.mix_norm(drop_out(mixed, self.mix_drop, training) + rows)
        hidden = self.contract(self.activation(self.expand(rows)))
        return cast(Tensor, self.norm(drop_out(hidden, self.drop, training) + rows))


def can_pack(transformer: PreTrainedModel) -> bool:
    """Say whether a transformer is of a kind that is known here, without anything that its config adds to it."""
    config = transformer.config
    return (
        config.model_type in KINDS
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
        and not getattr(config, "is_decoder", False)
        # Layers without some of their heads have fewer than the config says.
        and not config.pruned_heads
    )


def run_packed(transformer: PreTrainedModel, embedded: Tensor, lengths: Sequence[int]) -> Tensor:
    """Encode windows without padding; equal to the transformer's own forward pass but for the draws of dropout.

    transformer (PreTrainedModel): A transformer that `can_pack` approves of.
    embedded (Tensor): (rows, width) input embeddings of all windows' pieces, one window after another.
    lengths (Sequence[int]): Pieces of each window.
    RETURNS (Tensor): (rows, width).
    """
    names, training = KINDS[transformer.config.model_type], transformer.training
    groups = group(lengths)
    own = places(groups)
    rows = _embed(transformer, embedded, lengths, training)
    rows = rows.new_zeros(rounded(groups[-1].rows.stop), rows.shape[1]).index_copy(0, own, rows)
    # MPNet's scores depend on the distance of two pieces, in the same way in every layer.
    relative = getattr(getattr(transformer, "encoder", None), "compute_position_bias", None)
    bias = None if relative is None else relative(rows.new_empty(1, max(one.length for one in groups), 1))[0]
    heads = transformer.config.num_attention_heads
    for module in attrgetter(names.layers)(transformer):
        rows = Layer.of(module, names)(rows, groups, heads, bias, training)
    return rows.index_select(0, own)


def rounded(count: int) -> int:
    """Round a number of rows up, so that matrices come in few shapes: see attention.group.

    count (int): Rows.
    RETURNS (int): A few more.
    """
    return round_up(count, 16 if count <= 256 else 64)


def _embed(transformer: PreTrainedModel, embedded: Tensor, lengths: Sequence[int], training: bool) -> Tensor:
    embeddings: Any = transformer.embeddings
    # RoBERTa and its kin number positions from the padding piece on.
    first = getattr(embeddings, "padding_idx", -1) + 1
    positions = torch.cat([torch.arange(first, first + length) for length in lengths])
    rows = embedded + embeddings.position_embeddings(positions)
    if hasattr(embeddings, "token_type_embeddings"):
        rows = rows + embeddings.token_type_embeddings.weight[0]
    rows = drop_out(embeddings.LayerNorm(rows), embeddings.dropout.p, training)
    return cast(Tensor, transformer.embeddings_project(rows)) if hasattr(transformer, "embeddings_project") else rows
