"""Hashes of everything that decides a run's output: a run is resumed only where they are the same."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import srsly

from spacy_bert_ner.storage.files import sha256_of
from spacy_bert_ner.storage.provenance import versions
from spacy_bert_ner.storage.sources import list_names, pipeline_folder

from .annotation_error import AnnotationError
from .inputs import STDIN, InputFile
from .output_options import OutputOptions, flag

MAX_DIFFERENCES = 5


def find_model(name: str) -> Path:
    """RETURNS (Path): The folder of a pipeline. RAISES: AnnotationError where there is none."""
    folder = pipeline_folder(name)
    if folder is None:
        raise AnnotationError(f"{name}: expected the folder of a spaCy pipeline, or an installed package")
    return folder


def identify(model: str) -> dict[str, Any]:
    """Identify a pipeline and the packages that run it.

    model (str): Folder or package of the pipeline.
    RETURNS (dict[str, Any]): "model", the hashes of its files by name, and "versions", of packages.
    """
    folder = find_model(model)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    hashes = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    return {"model": hashes, "versions": versions()}


def fingerprint(
    identity: Mapping[str, Any], options: OutputOptions, sources: Sequence[InputFile], *, code: str | None, gpu: bool
) -> dict[str, Any]:
    """Collect what decides a run's output.

    identity (Mapping[str, Any]): From `identify`.
    sources (Sequence[InputFile]): Standard input has no hash; its shards have.
    code (str | None): Python file with registered functions.
    gpu (bool): Whether a GPU computes, since it rounds differently.
    RETURNS (dict[str, Any]): "model", "versions", "options" and "input".
    """
    options_ = {**options.as_json(), "code": sha256_of(Path(code)) if code else None, "gpu": gpu}
    inputs = {
        source.name: {"kind": source.kind, "sha256": None if source.name == STDIN else sha256_of(source.path)}
        for source in sources
    }
    return {**identity, "options": options_, "input": inputs}


def describe_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Describe the differences of two fingerprints, or of parts of them.

    RETURNS (list[str]): Empty where they are equal.
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
    """RAISES: AnnotationError where a label to keep is not among those that the pipeline declares."""
    known = {label for each in srsly.read_json(folder / "meta.json").get("labels", {}).values() for label in each}
    if unknown := set(labels or ()) - known:
        raise AnnotationError(
            f"--labels {', '.join(sorted(unknown))}: no component of {folder} declares these labels, expected some of "
            f"{list_names(known, 40)}"
        )


def _files(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    states = {name: "is new" for name in new if name not in old}
    states |= {name: "is missing" for name in old if name not in new}
    states |= {name: "has changed" for name in new if name in old and old[name] != new[name]}
    found = [f"{kind} {name} {state}" for name, state in states.items()]
    if not found and list(old) != list(new):
        found = [f"the {kind}s are in another order"]
    more = len(found) - MAX_DIFFERENCES
    return found if more <= 0 else [*found[:MAX_DIFFERENCES], f"{more} more {kind}s differ"]


def _spell(option: str) -> str:
    return "the device" if option == "gpu" else flag(option)


def _show(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "not given" if value is None else str(value)
