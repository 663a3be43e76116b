"""A pretrained encoder's files, in a folder or on the Hub: config.json, tokenizer.json, safetensors; read as data."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from safetensors import safe_open
from torch import Tensor

from spacy_bert_ner.storage.sources import HUB_ID

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
NO_HUB = (
    "no folder of that name is here, and to look on the Hub needs huggingface_hub, which is not installed: pip install "
    '"spacy-bert-ner[train]"'
)


@dataclass(frozen=True)
class PretrainedFiles:
    """A pretrained encoder.

    name (str): Its folder or Hub id.
    """

    name: str

    def find(self, file: str) -> Path | None:
        """Find one of its files, on the Hub if need be.

        file (str): The file's name.
        RETURNS (Path | None): Where it is; None where the encoder has no such file.
        RAISES: OSError where there is no such encoder, or no way to it.
        """
        folder = Path(self.name)
        if folder.is_dir():
            return folder / file if (folder / file).is_file() else None
        if folder.exists() or not HUB_ID.fullmatch(self.name):
            raise FileNotFoundError(f"{self.name!r} is no folder, and no id of the Hub")
        return _find_on_hub(self.name, file)

    def read_json(self, file: str) -> dict[str, Any] | None:
        """Read one of its files of JSON.

        RETURNS (dict[str, Any] | None): What it holds; None where the encoder has no such file.
        RAISES: ValueError where it holds no JSON of that kind; OSError as `find`.
        """
        path = self.find(file)
        if path is None:
            return None
        try:
            content = json.loads(path.read_text(encoding="utf8"))
        except ValueError as error:
            raise ValueError(f"{file} cannot be read: {error}") from error
        if not isinstance(content, dict):
            raise ValueError(f"{file} holds no JSON object")
        return cast(dict[str, Any], content)

    def weights(self) -> "Shards | None":
        """RETURNS (Shards | None): The weights, one at a time; None where there are no safetensors.

        RAISES: ValueError where the files contradict each other; SafetensorError where one is damaged.
        """
        whole = self.find(WEIGHTS)
        if whole is not None:
            return Shards([whole])
        index = self.read_json(INDEX)
        if index is None:
            return None
        files = sorted(set(index.get("weight_map", {}).values()))
        paths = {file: self.find(file) for file in files}
        missing = [file for file, path in paths.items() if path is None]
        if missing or not files:
            raise ValueError(f"{INDEX} names {', '.join(missing) or 'no file'}, which the encoder does not have")
        return Shards([path for path in paths.values() if path is not None])


class Shards(Mapping[str, Tensor]):
    """Weights in one or several safetensors files, read from the disk when they are asked for.

    paths (list[Path]): The files.
    RAISES: SafetensorError where one is damaged.
    """

    def __init__(self, paths: list[Path]) -> None:
        self._owner: dict[str, Any] = {}
        for path in paths:
            opened: Any = safe_open(path, framework="pt")
            self._owner |= dict.fromkeys(opened.keys(), opened)

    def __getitem__(self, name: str) -> Tensor:
        return cast(Tensor, self._owner[name].get_tensor(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._owner)

    def __len__(self) -> int:
        return len(self._owner)


def _find_on_hub(name: str, file: str) -> Path | None:
    """Find a file on the Hub or in its cache. RETURNS: Where it is; None where the model has no such file."""
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise FileNotFoundError(NO_HUB) from error
    try:
        return Path(hf_hub_download(name, file))
    except LocalEntryNotFoundError as error:
        # In the cache of an offline machine, a file that is not there may never have been asked for.
        if file != "config.json" and _is_cached(name):
            return None
        raise FileNotFoundError(f"the Hub cannot be reached, and its cache does not hold {name}: {error}") from error
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, ValueError) as error:
        raise FileNotFoundError(f"the Hub has no {name!r}, or does not give it: {error}") from error


def _is_cached(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, "config.json"), str)
