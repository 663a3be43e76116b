"""The options that decide the output, and must stay the same when a run is resumed."""

from dataclasses import asdict, dataclass
from typing import Any

from .annotation_error import AnnotationError

OUTPUT_FORMATS = ("jsonl", "parquet", "spacy")
TEXT_FILES = ("lines", "documents")
MAX_CHARACTERS = 1_000_000
# A document's own id, where no field is named: the field of this name, or else its place.
ID = "id"


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What decides the output's bytes, beside model and input.

    format (str): One of OUTPUT_FORMATS.
    text_field (str): The input's field that holds the text.
    id_field (str | None): The field that every document must have as its id; None for "id" where there is one, and
        the document's place in the input where there is none.
    fields (tuple[str, ...] | None): The input's fields to keep, beside the id; None for all.
    entities_field (str): The output's field with the entities.
    labels (tuple[str, ...] | None): The entity types to keep; None for all.
    min_confidence (float): Entities of a lower confidence are left out; those without a confidence stay.
    max_characters (int): Longer texts are split at line or sentence ends.
    text_files (str): Whether a plain text file holds a document per line or is one: one of TEXT_FILES.
    stdin_format (str): What standard input holds: a suffix without its dot.
    shard_size (int): Maximum number of documents of a shard.
    batch_words (int): Maximum number of tokens that are predicted together; a longer document is a batch by itself.
    """

    format: str = "jsonl"
    text_field: str = "text"
    id_field: str | None = None
    fields: tuple[str, ...] | None = None
    entities_field: str = "entities"
    labels: tuple[str, ...] | None = None
    min_confidence: float = 0.0
    max_characters: int = MAX_CHARACTERS
    text_files: str = "lines"
    stdin_format: str = "jsonl"
    shard_size: int = 500
    batch_words: int = 8000

    def __post_init__(self) -> None:
        """RAISES: AnnotationError that names an invalid option."""
        self._check_choices()
        if not 0 <= self.min_confidence <= 1:
            raise AnnotationError(f"--min-confidence {self.min_confidence}: expected a number from 0 to 1")
        for name in ("max_characters", "shard_size", "batch_words"):
            if getattr(self, name) < 1:
                raise AnnotationError(f"{flag(name)} {getattr(self, name)}: expected a number above 0")
        if self.entities_field in (self.text_field, self.id_field or ID):
            raise AnnotationError(
                f"--entities-field {self.entities_field}: also the text's or the id's field, expected another name"
            )
        if self.labels is not None and not self.labels:
            raise AnnotationError("--labels: no entity type, expected at least one, or no --labels for all")

    def _check_choices(self) -> None:
        for name, choices in (("format", OUTPUT_FORMATS), ("text_files", TEXT_FILES)):
            if getattr(self, name) not in choices:
                raise AnnotationError(f"{flag(name)} {getattr(self, name)}: expected one of {', '.join(choices)}")

    def as_json(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): The options as the manifest holds them, lists in place of tuples."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def flag(name: str) -> str:
    """RETURNS (str): An option as the command line spells it."""
    return f"--{name.replace('_', '-')}"
