"""The summary of a finished run."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .journal import Journal


@dataclass(frozen=True)
class AnnotationSummary:
    """A finished run.

    output (Path): The file, or the folder of shards.
    failures (Path | None): The file with the texts that failed; None where none did.
    shards, documents, words (int): What the output holds.
    entities (dict[str, int]): Its entities by type, the most frequent first.
    unscored (int): Entities without a confidence.
    failed (int): Texts that failed.
    words_per_second (float | None): Of what this call annotated, the start of the workers included; None where
        nothing was left to annotate.
    """

    output: Path
    failures: Path | None
    shards: int
    documents: int
    words: int
    entities: dict[str, int]
    unscored: int
    failed: int
    words_per_second: float | None

    def counts(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): The part that is equal for every run with the same output."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in ("output", "failures", "words_per_second")
        }


def summarize(journal: Journal, output: Path, failures: Path, words_per_second: float | None) -> AnnotationSummary:
    """RETURNS (AnnotationSummary): Of a finished run."""
    shards = journal.shards.values()
    entities = journal.entities()
    failed = sum(done.failed for done in shards)
    return AnnotationSummary(
        output=output,
        failures=failures if failed else None,
        shards=len(shards),
        documents=sum(done.documents for done in shards),
        words=sum(done.words for done in shards),
        entities=dict(sorted(entities.items(), key=lambda item: (-item[1], item[0]))),
        unscored=sum(done.unscored for done in shards),
        failed=failed,
        words_per_second=words_per_second,
    )
