"""Texts without annotation, read as often as they are wanted, one after another."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bert_ner.annotating.annotation_error import AnnotationError
from spacy_bert_ner.annotating.conversion import RecordError, get_text
from spacy_bert_ner.annotating.inputs import STDIN, FoundInputs, find_sources
from spacy_bert_ner.annotating.long_texts import split_text
from spacy_bert_ner.annotating.output_options import OutputOptions
from spacy_bert_ner.annotating.readers import check_sources, read_sources
from spacy_bert_ner.training.training_error import RunError

# Longer texts are cut, as a document is in one batch, and a batch in memory.
LONGEST_TEXT = 20_000
# Words among which a stream's documents are shuffled.
BUFFER_WORDS = 100_000


@dataclass(frozen=True)
class Texts:
    """Files of texts: JSON Lines, plain text of a document a line, CSV, Parquet, or `.spacy`.

    names (tuple[str, ...]): Files, folders and globs, as the user typed them.
    field (str): The field that holds the text, where a format has fields.
    written (tuple[Path, ...]): What the run writes: no text, even inside a named folder.
    """

    names: tuple[str, ...] = ()
    field: str = "text"
    written: tuple[Path, ...] = ()

    @cached_property
    def found(self) -> FoundInputs:
        """RETURNS (FoundInputs): The files. RAISES: RunError where one is not there, or can only be read once."""
        if STDIN in self.names:
            raise RunError("--texts -: standard input can be read once only, expected files, which each epoch reads")
        try:
            found = find_sources(self.names, "jsonl", self.written)
            check_sources(found.sources, self._options)
        except AnnotationError as error:
            raise RunError(f"--texts {error}") from error
        return found

    @property
    def _options(self) -> OutputOptions:
        return OutputOptions(text_field=self.field, fields=())

    def __iter__(self) -> Iterator[str]:
        """YIELDS (str): The texts in order, long ones in pieces. RAISES: RunError where one cannot be read."""
        try:
            for record, _ in read_sources(self.found.sources, self._options):
                try:
                    text = get_text(record, self._options)
                except RecordError as error:
                    raise RunError(f"--texts {record.place}: {error}") from error
                yield from (piece.text for piece in split_text(text, LONGEST_TEXT))
        except AnnotationError as error:
            raise RunError(f"--texts {error}") from error

    def examples(self, nlp: Language) -> Iterator[Example]:
        """YIELDS (Example): The texts, but for empty ones, as the pipeline's tokenizer cuts them; not annotated."""
        for text in self:
            # The tokenizer itself, since nlp.make_doc refuses long texts.
            doc = nlp.tokenizer(text)
            if len(doc):
                words, spaces = [token.text for token in doc], [bool(token.whitespace_) for token in doc]
                yield Example(doc, Doc(nlp.vocab, words=words, spaces=spaces))

    def count_words(self, lang: str) -> int:
        """Count the words of all texts, as a language's tokenizer cuts them.

        lang (str): Its code.
        RETURNS (int): The words; 0 where no texts are named.
        RAISES: RunError where texts are named and hold none.
        """
        if not self.names:
            return 0
        nlp = spacy.blank(lang)
        words = sum(len(nlp.tokenizer(text)) for text in self)
        if not words:
            raise RunError(f"--texts {', '.join(self.names)}: found no text there, expected files of texts with words")
        return words


def shuffle_stream(examples: Iterator[Example], buffer_words: int = BUFFER_WORDS) -> Iterator[Example]:
    """Shuffle a stream within a buffer, by Python's random numbers.

    examples (Iterator[Example]): The stream.
    buffer_words (int): Words that the buffer holds at most, but for the last document that it takes.
    YIELDS (Example): Each of them once.
    """
    buffer: list[Example] = []
    words = 0
    while True:
        while words < buffer_words and (example := next(examples, None)) is not None:
            buffer.append(example)
            words += len(example.predicted)
        if not buffer:
            return
        at = random.randrange(len(buffer))
        buffer[at], buffer[-1] = buffer[-1], buffer[at]
        drawn = buffer.pop()
        words -= len(drawn.predicted)
        yield drawn
