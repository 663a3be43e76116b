"""A run's files, and its manifest, which says what made them.

OUTPUT/ or OUTPUT.parts/    part-00000.jsonl …   the shards
                            manifest.json        what made them
                            journal.jsonl        which are finished, with their hashes
                            failed.jsonl         texts that failed, if any } exist once the
                            summary.json         counts                    } run is finished
                            .lock                exists while it runs
OUTPUT.jsonl                all shards in one file, where OUTPUT ends in a format's suffix
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.storage.locking import LOCK
from spacy_bert_ner.storage.sources import list_names

from .annotation_error import AnnotationError
from .output_options import OUTPUT_FORMATS
from .run_fingerprint import describe_differences

MANIFEST, JOURNAL, FAILED, SUMMARY = "manifest.json", "journal.jsonl", "failed.jsonl", "summary.json"
VERSION = 1


def format_of(output: Path) -> str | None:
    """RETURNS (str | None): The format that an output file's name ends in; None where the output is a folder."""
    suffix = output.suffix.lower().removeprefix(".")
    return suffix if suffix in OUTPUT_FORMATS and not output.is_dir() else None


class RunFolder:
    """A run's files.

    output (Path): The file or folder that the user named.
    format (str): The shards' format.
    """

    def __init__(self, output: Path, format: str) -> None:
        self.output = output
        self.is_one_file = format_of(output) is not None
        self.folder = output.with_name(f"{output.name}.parts") if self.is_one_file else output
        self.format = format

    def part(self, number: int) -> Path:
        """RETURNS (Path): A shard's file."""
        return self.folder / f"part-{number:05}.{self.format}"

    def path(self, name: str) -> Path:
        """RETURNS (Path): One of the run's other files."""
        return self.folder / name

    def check(self) -> None:
        """RAISES: AnnotationError where the output holds anything but a run."""
        if self.output.is_file() and not self.is_one_file:
            raise AnnotationError(
                f"{self.output}: a file of another kind, expected a folder, or a file that ends in .jsonl, .parquet or "
                ".spacy"
            )
        if self.path(MANIFEST).exists():
            return
        if self.folder.exists() and (strangers := [path.name for path in self.folder.iterdir() if not _is_early(path)]):
            raise AnnotationError(
                f"{self.folder}: holds {list_names(strangers)} and no {MANIFEST}, expected a new folder or that of a "
                "run that goes on: name another one"
            )
        if self.is_one_file and self.output.exists():
            raise AnnotationError(f"{self.output}: exists already, and not by a run that can be resumed: move it away")

    def clear(self) -> None:
        """Remove a run's files, and no others."""
        if self.path(MANIFEST).exists():
            if self.is_one_file:
                self.output.unlink(missing_ok=True)
            # The manifest last: without it the other files would not be recognised as a run's.
            for path in [*self.folder.glob("part-*"), *map(self.path, (JOURNAL, FAILED, SUMMARY, MANIFEST))]:
                path.unlink(missing_ok=True)

    def remove_temporary_files(self) -> None:
        """Remove the temporary files of a killed process."""
        names = ("part-", *(f"{name}." for name in (MANIFEST, JOURNAL, FAILED, SUMMARY)))
        for path in [path for name in names for path in self.folder.glob(f".{name}*")]:
            path.unlink(missing_ok=True)
        if self.is_one_file:
            for path in self.output.parent.glob(f".{self.output.name}.*.tmp"):
                path.unlink(missing_ok=True)


def _is_early(path: Path) -> bool:
    """RETURNS (bool): Whether a file can exist before a run's manifest: the process may have been killed there."""
    return path.name == LOCK or path.name.startswith(f".{MANIFEST}.")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically."""
    write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode("utf8"))


def open_manifest(path: Path, fingerprint: Mapping[str, Any]) -> None:
    """Start a run, or resume it.

    RAISES: AnnotationError where the manifest has another fingerprint; it describes the differences.
    """
    if not path.exists():
        write_json(path, {"version": VERSION, "fingerprint": fingerprint})
        return
    try:
        manifest = json.loads(path.read_text(encoding="utf8"))
        old = manifest["fingerprint"]
        version = manifest["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise AnnotationError(f"{path}: not a run's manifest ({error}): name another output, or remove it") from error
    if version != VERSION:
        raise AnnotationError(
            f"{path}: of version {version}, expected {VERSION}: resume with the release that wrote it"
        )
    if changes := describe_differences(old, fingerprint):
        raise AnnotationError(
            f"{path.parent} holds another run: {'; '.join(changes)}. Resume with the same command, name another "
            "output, or start over with --fresh"
        )
