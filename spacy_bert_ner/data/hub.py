"""Data sets on the Hugging Face Hub, through the `datasets` library."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .documents import CorpusError

# The branch with the Hub's conversion of data sets that are Python scripts, which `datasets` no longer runs.
PARQUET_BRANCH = "refs/convert/parquet"
HUB_TIMEOUT = 30.0


@dataclass(frozen=True)
class HubCorpus:
    """A data set of the Hub.

    revision (str | None): The commit that was loaded; None where only the cache was available.
    splits (Mapping[str, Any]): A `datasets.Dataset` by the data set's name of the split.
    """

    revision: str | None
    splits: Mapping[str, Any]


def load_hub(source: str) -> HubCorpus:
    """Load a data set from the Hub, or with HF_HUB_OFFLINE=1 from its cache.

    source (str): `name`, `org/name`, or either with `:config` where the data set has several configurations.
    RETURNS (HubCorpus): Its splits, at the current commit of its main branch or of the Hub's conversion.
    RAISES: CorpusError where it cannot be loaded; it names the local alternative.
    """
    from datasets import DatasetDict, load_dataset
    from datasets.exceptions import DatasetsError

    name, _, config = source.partition(":")
    try:
        revision = _commit(name, None)
        try:
            splits = load_dataset(name, config or None, revision=revision)
        except (RuntimeError, ValueError) as error:
            if "script" not in str(error) and "trust_remote_code" not in str(error):
                raise
            revision, folder = _converted(name, config)
            splits = load_dataset(name, data_dir=folder, revision=revision)
    except (OSError, RuntimeError, ValueError, DatasetsError) as error:
        raise CorpusError(
            f"Cannot load {source!r} from the Hugging Face Hub, and no folder of that name is here "
            f"({type(error).__name__}: {error}). Check the name and the connection, or pass a folder of CoNLL column "
            "files or parquet splits in its place (--corpus FOLDER); HF_HUB_OFFLINE=1 takes what the Hub's cache "
            "holds"
        ) from error
    if not isinstance(splits, DatasetDict):
        raise CorpusError(
            f"{source}: {type(splits).__name__}, expected a data set with train, validation and test splits"
        )
    return HubCorpus(revision, splits)


def _commit(name: str, branch: str | None) -> str | None:
    """Look up a branch's commit. RETURNS (str | None): None with HF_HUB_OFFLINE=1."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        return HfApi().dataset_info(name, revision=branch, timeout=HUB_TIMEOUT).sha
    except OfflineModeIsEnabled:
        return None


def _converted(name: str, config: str) -> tuple[str | None, str]:
    """Find a configuration in the Hub's conversion, which has a folder for each.

    RETURNS (tuple[str | None, str]): The commit and the folder.
    RAISES: ValueError where there are several configurations and none is named.
    """
    from huggingface_hub import HfApi

    info = HfApi().dataset_info(name, revision=PARQUET_BRANCH, timeout=HUB_TIMEOUT)
    files = [file.rfilename for file in info.siblings or [] if file.rfilename.endswith(".parquet")]
    folders = sorted({file.partition("/")[0] for file in files if "/" in file})
    chosen = [folder for folder in folders if folder == config or (not config and len(folders) == 1)]
    if not chosen:
        raise ValueError(f"its configurations are {', '.join(folders) or 'none'}: name one, as in {name}:CONFIG")
    return info.sha, chosen[0]
