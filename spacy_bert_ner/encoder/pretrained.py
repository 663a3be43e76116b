"""Pretrained encoders from a folder or the Hub: weights from safetensors alone, and no code but transformers' own."""

import json
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedModel

from ..sources import how_to_convert, list_names
from .module import Encoder
from .pieces import WordPieces
from .settings import Settings, check_window, own_dropouts
from .shim import new_transformer


def load_pretrained(settings: Settings) -> tuple[Encoder, WordPieces]:
    """Load a pretrained encoder.

    settings (Settings): Its name, and what overrides its own settings.
    RETURNS (tuple[Encoder, WordPieces]): The module and its tokenizer.
    RAISES: ValueError where there is none of that name, a file of it is missing or damaged, or it cannot serve.
    """
    config = load_config(settings)
    pieces = load_pieces(settings, config)
    check_window(settings.window, pieces, f"the encoder {settings.name!r}")
    case_features = pieces.lowercases if settings.case_features is None else settings.case_features
    return Encoder(load_transformer(settings, config), case_features, settings.document_memory), pieces


def load_config(settings: Settings) -> Any:
    """Read an encoder's config. RETURNS (PretrainedConfig): With the settings' values."""
    own = settings.transformer_config
    folder = Path(settings.name)
    try:
        # Without a type transformers would guess one from the folder's name.
        if folder.is_dir() and "model_type" not in json.loads((folder / "config.json").read_text(encoding="utf8")):
            raise ValueError('config.json has no "model_type"')
        config, unused = AutoConfig.from_pretrained(
            settings.name, trust_remote_code=False, return_unused_kwargs=True, **own
        )
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(
            "[components.transformer.model] "
            f"name = {settings.name!r}: {_found(settings.name)}, expected a folder with config.json, "
            f"model.safetensors and tokenizer.json, or the id of such a model on the Hub. transformers says: {error}"
        ) from error
    unknown = [key for key in own if key in unused and key != "torch_dtype"]
    if unknown:
        raise ValueError(
            "[components.transformer.model] "
            f"transformer_config names {', '.join(unknown)}, which the config of {settings.name!r} "
            f"({type(config).__name__}) does not have. Its settings are {', '.join(sorted(config.to_dict()))}"
        )
    config.update({**own_dropouts(settings, config.to_dict()), **own})
    return config


def load_pieces(settings: Settings, config: Any) -> WordPieces:
    """Load an encoder's tokenizer. RETURNS (WordPieces): The tokenizer."""
    from transformers import AutoTokenizer

    arguments = {"use_fast": True, **settings.tokenizer_config, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(settings.name, **arguments)
    # The library `tokenizers` raises bare exceptions.
    except Exception as error:
        raise ValueError(
            "[components.transformer.model] "
            f"name = {settings.name!r}: its tokenizer cannot be loaded from {_found(settings.name)}, "
            f"expected a whole tokenizer.json, fetched anew. transformers says: {error}"
        ) from error
    return WordPieces.from_tokenizer(tokenizer, settings.name, config.to_dict())


def load_transformer(settings: Settings, config: Any) -> PreTrainedModel:
    """Load an encoder's weights. RETURNS (PreTrainedModel): The transformer, all weights of which were in the file."""
    name = settings.name
    if Path(name).is_dir() and not list(Path(name).glob("*.safetensors")):
        raise ValueError(
            "[components.transformer.model] "
            f"name = {name!r}: no weights in model.safetensors among {_found(name)}. Weights are read from "
            f"safetensors only, as a pickle (pytorch_model.bin) can run code. {how_to_convert(name)}"
        )
    try:
        transformer, told = cast(
            Any,
            new_transformer(config, name, use_safetensors=True, trust_remote_code=False, output_loading_info=True),
        )
    except (OSError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
        raise ValueError(
            "[components.transformer.model] "
            f"name = {name!r}: its weights cannot be loaded from {_found(name)}, expected a whole "
            f"model.safetensors, fetched anew, that suits config.json and transformer_config = "
            f"{settings.transformer_config}. transformers says: {error}"
        ) from error
    # What pools a text into one vector is of no use here, and many encoders come without it.
    missing = [key for key in told["missing_keys"] if "pooler" not in key]
    if missing:
        raise ValueError(
            "[components.transformer.model] "
            f"name = {name!r}: its weights lack {list_names(missing)}, which would be random. Expected the "
            f"weights that config.json and transformer_config = {settings.transformer_config} describe"
        )
    return cast(PreTrainedModel, transformer)


def try_out(encoder: Encoder, pieces: WordPieces, name: str) -> int:
    """Encode one word.

    encoder (Encoder): The module.
    pieces (WordPieces): Its tokenizer.
    name (str): Its name.
    RETURNS (int): The width of its vectors.
    RAISES: ValueError where it does not give one vector per piece.
    """
    ids = torch.tensor([*pieces.settings["prefix"], *pieces.encode(["a"], 1)[0].ids, *pieces.settings["suffix"]])
    try:
        with torch.no_grad():
            hidden = encoder.eval()(ids, torch.zeros_like(ids), [len(ids)])
        if hidden.ndim != 2 or len(hidden) != len(ids):
            raise ValueError(f"it gives vectors of shape {tuple(hidden.shape)} for {len(ids)} pieces")
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        transformer = type(encoder.transformer).__name__
        raise ValueError(
            f"The encoder {name!r} ({transformer}) does not give one vector per word piece: {error}. Choose an encoder "
            "of the BERT kind; one that takes no `inputs_embeds` needs case_features = false."
        ) from error
    return int(hidden.shape[-1])


def _found(name: str) -> str:
    """Say what is where an encoder should be."""
    folder = Path(name)
    if folder.is_dir():
        return f"the folder's files {list_names([path.name for path in folder.iterdir()])}"
    return "a file" if folder.exists() else "no folder of that name"
