"""What decides a run's output, hashed: by this a run that goes on is known to be the same."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import srsly

from spacy_bert_ner.storage.files import sha256_of
from spacy_bert_ner.storage.provenance import versions
from spacy_bert_ner.storage.sources import list_names, pipeline_folder

from .annotation_error import AnnotationError
from .inputs import STDIN, Source
from .output_options import Options, flag

SHOWN = 5


def find_model(name: str) -> Path:
    """RETURNS (Path): The folder of a pipeline. RAISES: AnnotationError where there is none."""
    folder = pipeline_folder(name)
    if folder is None or not (folder / "meta.json").is_file():
        raise AnnotationError(f"{name}: expected the folder of a spaCy pipeline, or an installed package")
    return folder


def identify(model: str) -> dict[str, Any]:
    """Say what a process would annotate with.

    model (str): Folder or package of the pipeline.
    RETURNS (dict[str, Any]): "model", the hashes of its files by name, and "versions", of packages.
    """
    folder = find_model(model)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    hashes = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    return {"model": hashes, "versions": versions()}


def fingerprint(
    identity: Mapping[str, Any], options: Options, sources: Sequence[Source], *, code: str | None, gpu: bool
) -> dict[str, Any]:
    """Say what decides a run's output.

    identity (Mapping[str, Any]): What `identify` says.
    options (Options): The options.
    sources (Sequence[Source]): The input. Standard input has no hash: its shards have.
    code (str | None): Python file with registered functions.
    gpu (bool): Whether a GPU computes: its rounding is another.
    RETURNS (dict[str, Any]): "model", "versions", "options" and "input".
    """
    options_ = {**options.as_json(), "code": sha256_of(Path(code)) if code else None, "gpu": gpu}
    inputs = {
        source.name: {"kind": source.kind, "sha256": None if source.name == STDIN else sha256_of(source.path)}
        for source in sources
    }
    return {**identity, "options": options_, "input": inputs}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name what two fingerprints differ in.

    old, new (Mapping[str, Any]): The fingerprints, or parts of them.
    RETURNS (list[str]): What was and what is; empty where they are the same.
    """
    found = []
    for option, value in new.get("options", {}).items():
        before = old.get("options", {}).get(option)
        if before != value:
            found.append(f"{_spell(option)} was {_show(before)} and is {_show(value)}")
    for name, kind in (("model", "file of the model"), ("input", "input file")):
        found += _files(kind, old.get(name, {}), new.get(name, {}))
    for package in sorted({*old.get("versions", {}), *new.get("versions", {})}):
        before, now = (each.get("versions", {}).get(package, "not installed") for each in (old, new))
        if before != now:
            found.append(f"{package} was {before} and is {now}")
    return found


def check_labels(folder: Path, labels: Sequence[str] | None) -> None:
    """Refuse a type that the pipeline does not know.

    folder (Path): The pipeline.
    labels (Sequence[str] | None): The types to keep.
    RAISES: AnnotationError that names it and those that it knows.
    """
    known = {label for each in srsly.read_json(folder / "meta.json").get("labels", {}).values() for label in each}
    if unknown := set(labels or ()) - known:
        raise AnnotationError(
            f"--labels {', '.join(sorted(unknown))}: no component of {folder} says in its labels that it finds these, "
            f"expected some of {list_names(known, 40)}"
        )


def _files(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    states = {name: "is new" for name in new if name not in old}
    states |= {name: "is no longer there" for name in old if name not in new}
    states |= {name: "has changed" for name in new if name in old and old[name] != new[name]}
    found = [f"{kind} {name} {state}" for name, state in states.items()]
    if not found and list(old) != list(new):
        found = [f"the {kind}s are in another order"]
    more = len(found) - SHOWN
    return found if more <= 0 else [*found[:SHOWN], f"{more} more {kind}s differ"]


def _spell(option: str) -> str:
    return "the device" if option == "gpu" else flag(option)


def _show(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "not given" if value is None else str(value)
