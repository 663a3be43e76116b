"""The kinds of transformer that the network knows, as data: how their checkpoints and configs call its parts.

A kind that is not here, or a config with something that the network does not have, goes through Hugging Face's classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# In what torch has for it; the names are those of config.json.
GELU_FORMS = {
    "gelu": "none",
    "gelu_python": "none",
    "gelu_new": "tanh",
    "gelu_fast": "tanh",
    "gelu_pytorch_tanh": "tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


@dataclass(frozen=True)
class LayerNames:
    """Where a checkpoint keeps the parts of a layer, each with a weight and a bias.

    query, key, value, mix (str): Linear layers of attention.
    mix_norm (str): The norm of its sum with what came in.
    expand, contract (str): The feed-forward network.
    norm (str): The norm of its sum with what came in.
    """

    query: str
    key: str
    value: str
    mix: str
    mix_norm: str
    expand: str
    contract: str
    norm: str


@dataclass(frozen=True)
class Kind:
    """A kind of transformer.

    prefix (str): What checkpoints with a head on top put before every name.
    layers (str): Where the layers are; the parts of one are named by `layer`.
    config (Mapping[str, Any]): What config.json says where it says nothing, by transformers.
    keys (Mapping[str, str]): How config.json calls what the network calls otherwise.
    position_offset (bool): Whether positions are numbered from the padding piece on.
    relative (str | None): Where the biases by distance are (Raffel et al. 2020).
    """

    prefix: str
    layers: str
    layer: LayerNames
    config: Mapping[str, Any]
    keys: Mapping[str, str] = field(default_factory=dict)
    position_offset: bool = False
    relative: str | None = None


_BERT_CONFIG: dict[str, Any] = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
_ROBERTA_CONFIG = {**_BERT_CONFIG, "pad_token_id": 1}
_BERT_LAYER = LayerNames(
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)
_MPNET_LAYER = LayerNames(
    "attention.attn.q",
    "attention.attn.k",
    "attention.attn.v",
    "attention.attn.o",
    "attention.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)
_DISTILBERT_LAYER = LayerNames(
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.lin2",
    "output_layer_norm",
)
# By the config's model_type.
TRANSFORMER_KINDS = {
    "bert": Kind("bert.", "encoder.layer", _BERT_LAYER, _BERT_CONFIG),
    "roberta": Kind(
        "roberta.", "encoder.layer", _BERT_LAYER, {**_ROBERTA_CONFIG, "vocab_size": 50265}, position_offset=True
    ),
    "xlm-roberta": Kind("roberta.", "encoder.layer", _BERT_LAYER, _ROBERTA_CONFIG, position_offset=True),
    "camembert": Kind("roberta.", "encoder.layer", _BERT_LAYER, _ROBERTA_CONFIG, position_offset=True),
    "electra": Kind(
        "electra.",
        "encoder.layer",
        _BERT_LAYER,
        {
            **_BERT_CONFIG,
            "embedding_size": 128,
            "hidden_size": 256,
            "num_attention_heads": 4,
            "intermediate_size": 1024,
        },
    ),
    "mpnet": Kind(
        "mpnet.",
        "encoder.layer",
        _MPNET_LAYER,
        {
            **{key: value for key, value in _ROBERTA_CONFIG.items() if key != "type_vocab_size"},
            "vocab_size": 30527,
            "relative_attention_num_buckets": 32,
        },
        position_offset=True,
        relative="encoder.relative_attention_bias",
    ),
    "distilbert": Kind(
        "distilbert.",
        "transformer.layer",
        _DISTILBERT_LAYER,
        {
            "vocab_size": 30522,
            "dim": 768,
            "n_layers": 6,
            "n_heads": 12,
            "hidden_dim": 3072,
            "activation": "gelu",
            "dropout": 0.1,
            "attention_dropout": 0.1,
            "max_position_embeddings": 512,
            "pad_token_id": 0,
        },
        keys={
            "hidden_size": "dim",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
            "intermediate_size": "hidden_dim",
            "hidden_act": "activation",
            "hidden_dropout_prob": "dropout",
            "attention_probs_dropout_prob": "attention_dropout",
        },
    ),
}
# What transformers takes by these names, too, where a kind calls it otherwise.
ALIASES = ("hidden_size", "num_hidden_layers", "num_attention_heads")
# MPNet's own; its config has no say in it.
MPNET_PADDING = 1


@dataclass(frozen=True)
class NetworkShape:
    """The network's dimensions and rates, whatever its kind.

    words, positions, types (int): Rows of the embedding tables; no types where there is none.
    embedding (int): Width of the embeddings.
    width, inner (int): Width of the layers, and of their feed-forward networks between.
    layers, heads (int): How many there are.
    first_position (int): The first piece's position.
    activation (str): A value of GELU_FORMS.
    eps (float): The norms'.
    dropout, mix_dropout, attention_dropout (float): Of embeddings and feed-forward networks, behind attention, and of
        attention's probabilities.
    buckets (int): Of distances, for biases of attention; 0 where there are none.
    """

    words: int
    positions: int
    types: int
    embedding: int
    width: int
    inner: int
    layers: int
    heads: int
    first_position: int
    activation: str
    eps: float
    dropout: float
    mix_dropout: float
    attention_dropout: float
    buckets: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "NetworkShape":
        """RETURNS (NetworkShape): Of a config of a kind that is known."""
        kind = TRANSFORMER_KINDS[config["model_type"]]
        filled = {**kind.config, **config}

        def get(key: str) -> Any:
            return filled[kind.keys.get(key, key)]

        def own(key: str, other: Any) -> Any:
            # Configs carry keys of other kinds, of which transformers takes no notice.
            return filled[key] if key in kind.config else other

        if get("hidden_size") % get("num_attention_heads"):
            raise ValueError(
                f"hidden_size = {get('hidden_size')} is no multiple of num_attention_heads = "
                f"{get('num_attention_heads')}"
            )
        padding = MPNET_PADDING if config["model_type"] == "mpnet" else filled.get("pad_token_id") or 0
        dropout = float(get("hidden_dropout_prob"))
        return cls(
            words=get("vocab_size"),
            positions=get("max_position_embeddings"),
            types=own("type_vocab_size", 0),
            embedding=own("embedding_size", get("hidden_size")),
            width=get("hidden_size"),
            inner=get("intermediate_size"),
            layers=get("num_hidden_layers"),
            heads=get("num_attention_heads"),
            first_position=padding + 1 if kind.position_offset else 0,
            activation=GELU_FORMS[get("hidden_act")],
            eps=float(own("layer_norm_eps", 1e-12)),
            dropout=dropout,
            # DistilBERT has no dropout behind attention.
            mix_dropout=0.0 if config["model_type"] == "distilbert" else dropout,
            attention_dropout=float(get("attention_probs_dropout_prob")),
            buckets=own("relative_attention_num_buckets", 0),
        )


def by_own_names(config: Mapping[str, Any], model_type: str) -> dict[str, Any]:
    """Call a config's settings as their kind does.

    config (Mapping[str, Any]): Settings of a config.json.
    model_type (str): The kind.
    RETURNS (dict[str, Any]): The settings, those by other kinds' names last, as they win over the others.
    """
    keys = TRANSFORMER_KINDS[model_type].keys if model_type in TRANSFORMER_KINDS else {}
    aliases = {keys[key]: config[key] for key in ALIASES if key in keys and key in config}
    return {key: value for key, value in config.items() if key not in keys or key not in ALIASES} | aliases


def find_obstacle(config: Mapping[str, Any]) -> str:
    """Say what keeps a config from being the network's.

    config (Mapping[str, Any]): A checkpoint's config.json.
    RETURNS (str): What the network does not have, as the config names it; "" where it has all.
    """
    kind = TRANSFORMER_KINDS.get(config.get("model_type", ""))
    if kind is None:
        return f"model_type = {config.get('model_type')!r}"
    if any((config.get("pruned_heads") or {}).values()):
        return "pruned_heads"
    positions = config.get("position_embedding_type") or "absolute"
    if positions != "absolute":
        return f"position_embedding_type = {positions!r}"
    if config.get("is_decoder"):
        return "is_decoder"
    activation = {**kind.config, **config}[kind.keys.get("hidden_act", "hidden_act")]
    return "" if activation in GELU_FORMS else f"{kind.keys.get('hidden_act', 'hidden_act')} = {activation!r}"
