"""Pretrained encoders from a folder or the Hub: weights from safetensors alone, and no code but transformers' own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from torch import Tensor

from spacy_bert_ner.storage.sources import how_to_convert, list_names

from .building import checkpoint_names, fill
from .network.foreign import Foreign, config_of, require_transformers, with_fastest_attention
from .network.kinds import TRANSFORMER_KINDS, NetworkShape, by_own_names, find_obstacle
from .network.module import Encoder
from .network.transformer import Transformer
from .pieces import WordPieces
from .pretrained_files import PretrainedFiles
from .settings import EncoderSettings, check_vocabulary, check_window, own_dropouts

# Settings of every transformers config that change nothing of the vectors.
WITHOUT_EFFECT = ("return_dict", "output_hidden_states", "output_attentions", "use_cache", "torch_dtype", "dtype")
NOT_OURS = (
    "{named}: {obstacle} is nothing that our own network has, and this version of transformers does not read it "
    "either: {error}"
)


def load_pretrained(settings: EncoderSettings) -> tuple[Encoder, WordPieces]:
    """Load a pretrained encoder.

    settings (EncoderSettings): Its name, and what overrides its own settings.
    RETURNS (tuple[Encoder, WordPieces]): The module, in evaluation mode, its weights in fp32, and
        its tokenizer.
    RAISES: ValueError where there is none of that name, a file of it is missing or damaged, or it cannot serve.
    """
    files = PretrainedFiles(settings.name)
    config = load_config(settings, files)
    pieces = load_pieces(settings, files, config)
    check_window(settings.window, pieces, settings.section, f"the encoder {settings.name!r}")
    case_features = pieces.lowercases if settings.case_features is None else settings.case_features
    network: Transformer | Foreign
    if find_obstacle(config):
        network = load_foreign(settings, config)
        config = config_of(network)
    else:
        network = load_network(settings, files, config)
    check_vocabulary(pieces, network.rows, settings.named)
    encoder = Encoder(network, config, case_features, settings.document_memory)
    encoder.initialize()
    return encoder.eval(), pieces


def load_config(settings: EncoderSettings, files: PretrainedFiles) -> dict[str, Any]:
    """Read an encoder's config.

    settings (EncoderSettings): What overrides it.
    files (PretrainedFiles): The encoder.
    RETURNS (dict[str, Any]): config.json with the settings' values.
    RAISES: ValueError where there is none, or the settings name what it does not have.
    """
    name, own = settings.name, settings.transformer_config
    try:
        found = files.read_json("config.json")
        if found is None:
            raise ValueError("there is no config.json")
        # Without a type transformers would guess one from the folder's name.
        if not isinstance(found.get("model_type"), str):
            raise ValueError('config.json has no "model_type"')
        if found.get("quantization_config"):
            raise ValueError("config.json has a quantization_config: take the checkpoint before it was quantized")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{settings.named}: {_found(name)}, expected a folder with config.json, "
            f"model.safetensors and tokenizer.json, or the id of such a model on the Hub. {error}"
        ) from error
    found, own = by_own_names(found, found["model_type"]), by_own_names(own, found["model_type"])
    kind = TRANSFORMER_KINDS.get(found["model_type"])
    defaults = dict(kind.config) if kind is not None else _defaults_of(found, settings)
    config = {**defaults, **found}
    unknown = [key for key in own if key not in config and key not in WITHOUT_EFFECT]
    if unknown:
        raise ValueError(
            f"[{settings.section}] transformer_config names {', '.join(unknown)}, which the config of {name!r} "
            f"({found['model_type']}) does not have. Its settings are {', '.join(sorted(config))}"
        )
    effective = {key: value for key, value in own.items() if key not in WITHOUT_EFFECT}
    return {**config, **own_dropouts(settings, config), **effective}


def _defaults_of(found: Mapping[str, Any], settings: EncoderSettings) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What transformers fills in for a kind that is not ours."""
    require_transformers(f"{settings.named}, of the kind {found['model_type']!r},")
    from transformers import AutoConfig

    own = {key: value for key, value in found.items() if key not in ("model_type", "auto_map")}
    try:
        return cast(dict[str, Any], AutoConfig.for_model(found["model_type"], **own).to_dict())
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{settings.named}: {_found(settings.name)}, of a kind ({found['model_type']!r}) that this version of "
            f"transformers cannot read: {error}"
        ) from error


def load_pieces(settings: EncoderSettings, files: PretrainedFiles, config: Mapping[str, Any]) -> WordPieces:
    """Load an encoder's tokenizer.

    settings (EncoderSettings): For the tokenizer's arguments.
    files (PretrainedFiles): The encoder.
    config (Mapping[str, Any]): Its config.
    RETURNS (WordPieces): The tokenizer: straight from tokenizer.json, or by transformers where there is none of it or
        the settings have arguments for it.
    RAISES: ValueError where it cannot be loaded.
    """
    # The library `tokenizers` raises bare exceptions, and transformers ImportError for what an old format needs.
    try:
        path = files.find("tokenizer.json")
        if path is not None and not settings.tokenizer_config:
            direct = WordPieces.from_checkpoint(path, files, config)
            # Pieces that were added stand in the other file alone, in some checkpoints.
            declared = (files.read_json("tokenizer_config.json") or {}).get("added_tokens_decoder") or {}
            if all(direct.backend.token_to_id(piece.get("content", "")) is not None for piece in declared.values()):
                return direct
    except Exception as error:
        raise ValueError(_no_tokenizer(settings, error)) from error
    require_transformers(f"{settings.named}: its tokenizer, which has no tokenizer.json,")
    from transformers import AutoTokenizer

    arguments = {"use_fast": True, **settings.tokenizer_config, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(settings.name, **arguments)
        # transformers 5 makes a tokenizer of nothing where there is no file of it.
        if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
            raise ValueError("its files hold no vocabulary")
    except Exception as error:
        raise ValueError(_no_tokenizer(settings, error)) from error
    return WordPieces.from_tokenizer(tokenizer, settings.name, dict(config))


def load_network(settings: EncoderSettings, files: PretrainedFiles, config: dict[str, Any]) -> Transformer:
    """Load an encoder of a kind that is ours. RETURNS (Transformer): The network, its weights in fp32."""
    try:
        weights = files.weights()
        if weights is None:
            raise ValueError(_no_weights(settings))
        names = checkpoint_names(config, _find_prefix(weights))
        with torch.device("meta"):
            network = Transformer(NetworkShape.of(config))
        wanted = {name: [_spelled(part, weights) for part in names[name]] for name, _ in network.named_parameters()}
        missing = sorted({part for parts in wanted.values() for part in parts} - weights.keys())
        if missing:
            raise ValueError(_lacking(settings, missing))
        fill(network, wanted, weights, torch.float32)
    except (KeyError, OSError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
        if str(error).startswith(f"[{settings.section}]"):
            raise
        raise ValueError(_unreadable(settings, error)) from error
    return network


def _find_prefix(weights: Mapping[str, Tensor]) -> str:
    """RETURNS (str): What a checkpoint puts before every name: it may hold a head beside the transformer."""
    mark = "embeddings.word_embeddings.weight"
    found = sorted((name.removesuffix(mark) for name in weights if name.endswith(mark)), key=len)
    return found[0] if found else ""


def _spelled(name: str, weights: Mapping[str, Tensor]) -> str:
    """RETURNS (str): A norm's parameter as the first checkpoints called it, where it is called so."""
    old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    return old if name not in weights and old in weights else name


def load_foreign(settings: EncoderSettings, config: dict[str, Any]) -> Foreign:
    """Load an encoder by Hugging Face's classes. RETURNS (Foreign): It, all weights of which were in the file."""
    name, obstacle = settings.name, find_obstacle(config)
    require_transformers(f"{settings.named}, which has {obstacle},")
    from transformers import AutoConfig, AutoModel

    if Path(name).is_dir() and not list(Path(name).glob("*.safetensors")):
        raise ValueError(_no_weights(settings))
    try:
        known = AutoConfig.for_model(config["model_type"], **{k: v for k, v in config.items() if k != "model_type"})
    # Newer versions check settings by classes of errors of their own.
    except Exception as error:
        raise ValueError(_unreadable(settings, error)) from error
    _refuse_what_is_gone(known, config, obstacle, settings)
    try:
        transformer, declared = with_fastest_attention(
            lambda **how: AutoModel.from_pretrained(
                name, config=known, use_safetensors=True, output_loading_info=True, **how
            )
        )
    except (OSError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
        raise ValueError(_unreadable(settings, error)) from error
    # What pools a text into one vector is of no use here, and many encoders come without it.
    missing = [key for key in declared["missing_keys"] if "pooler" not in key]
    if missing:
        raise ValueError(_lacking(settings, missing))
    # transformers 5 keeps the checkpoint's dtype; training wants fp32.
    return Foreign(transformer.float())


def _refuse_what_is_gone(known: Any, config: Mapping[str, Any], obstacle: str, settings: EncoderSettings) -> None:
    """Refuse what this version of transformers would pass over: the fifth has dropped it."""
    from transformers import __version__

    gone = obstacle == "pruned_heads" or obstacle.startswith("position_embedding_type")
    if gone and int(__version__.split(".")[0]) >= 5:
        error = f"transformers {__version__} has dropped it; 4.57 has it still"
        raise ValueError(NOT_OURS.format(named=settings.named, obstacle=obstacle, error=error))


def try_out(encoder: Encoder, pieces: WordPieces, name: str) -> int:
    """Encode one word.

    encoder (Encoder): The module.
    pieces (WordPieces): Its tokenizer.
    name (str): Its name.
    RETURNS (int): The width of its vectors.
    RAISES: ValueError where it does not give one vector per piece.
    """
    ids = torch.tensor([*pieces.settings["prefix"], *pieces.encode(["a"], 1).ids.tolist(), *pieces.settings["suffix"]])
    try:
        with torch.no_grad():
            hidden = encoder.eval()(ids, torch.zeros_like(ids), [len(ids)])
        if hidden.ndim != 2 or len(hidden) != len(ids):
            raise ValueError(f"it gives vectors of shape {tuple(hidden.shape)} for {len(ids)} pieces")
    except (AttributeError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        inner = encoder.network.transformer if isinstance(encoder.network, Foreign) else encoder.network
        raise ValueError(
            f"The encoder {name!r} ({type(inner).__name__}) does not give one vector per word piece: {error}. Choose "
            "an encoder of the BERT kind; one that takes no `inputs_embeds` needs case_features = false."
        ) from error
    return int(hidden.shape[-1])


def _no_tokenizer(settings: EncoderSettings, error: BaseException) -> str:
    return (
        f"{settings.named}: its tokenizer cannot be loaded from {_found(settings.name)}, expected a whole "
        f"tokenizer.json, fetched anew. {error}"
    )


def _no_weights(settings: EncoderSettings) -> str:
    return (
        f"{settings.named}: no weights in model.safetensors among {_found(settings.name)}. Weights are read from "
        f"safetensors only, as a pickle (pytorch_model.bin) can run code. {how_to_convert(settings.name)}"
    )


def _unreadable(settings: EncoderSettings, error: BaseException) -> str:
    return (
        f"{settings.named}: its weights cannot be loaded from {_found(settings.name)}, expected a "
        f"whole model.safetensors, fetched anew, that suits config.json and transformer_config = "
        f"{settings.transformer_config}. {error}"
    )


def _lacking(settings: EncoderSettings, missing: list[str]) -> str:
    return (
        f"{settings.named}: its weights lack {list_names(missing)}, which would be random. "
        f"Expected the weights that config.json and transformer_config = {settings.transformer_config} describe"
    )


def _found(name: str) -> str:
    """Say what is where an encoder should be."""
    folder = Path(name)
    if folder.is_dir():
        return f"the folder's files {list_names([path.name for path in folder.iterdir()])}"
    return "a file" if folder.exists() else "no folder of that name"
