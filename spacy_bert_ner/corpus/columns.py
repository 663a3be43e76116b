"""CoNLL column files: a token a line, its NER tag last, a blank line after each sentence.

    -DOCSTART- -X- O O

    EU NNP I-NP I-ORG
    rejects VBZ I-VP O

Source: the shared task of CoNLL-2003 (Tjong Kim Sang & De Meulder 2003).
"""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from spacy_bert_ner.corpus.documents import CorpusError, Document
from spacy_bert_ner.corpus.tagged import DOCSTART, TaggedSentence, is_tag, make_documents, unknown_tag

MIN_COLUMNS, MAX_COLUMNS = 2, 5

# Blanks and tabs alone: a no-break space or a line separator may be (part of) a token.
_SEPARATORS = " \t"
_GAP = re.compile(f"[{_SEPARATORS}]+")


def read_columns(path: Path) -> list[Document]:
    """Read a column file of 2 to 5 columns, blanks or tabs between them, in any of the tag schemes.

    path (Path): The file: UTF-8, with or without a byte order mark, lines ended by LF or CRLF.
    RETURNS (list[Document]): A document per DOCSTART line that sentences follow, one for sentences before the first;
        by tens, with a line in the log, where the file has no DOCSTART line at all.
    RAISES: CorpusError with file and line of what is wrong.
    """
    sentences = _read_sentences(path)
    if not sentences:
        raise CorpusError(
            f"{path}: no sentences, expected lines of a token and its tag, a blank line after each sentence"
        )
    return make_documents(sentences, str(path))


def _read_sentences(path: Path) -> list[TaggedSentence]:
    """Read the sentences, each with the number of its document; without one where no DOCSTART line tells."""
    sentences: list[TaggedSentence] = []
    tokens: list[str] = []
    tags: list[str] = []
    split = _RowSplitter(path)
    documents = 0
    for number, line in _read_lines(path):
        starts_document = _GAP.split(line, maxsplit=1)[0] == DOCSTART
        if line and not starts_document:
            token, tag = split(number, line)
            tokens.append(token)
            tags.append(tag)
        elif tokens:
            first = number - len(tokens)
            sentences.append(TaggedSentence(tuple(tokens), tuple(tags), str(documents), str(path), first, is_row=False))
            tokens, tags = [], []
        documents += starts_document
    return sentences if documents else [replace(sentence, document=None) for sentence in sentences]


class _RowSplitter:
    """Splits a file's rows and holds all of them to the number of columns of the first.

    path (Path): The file, for error messages.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns = 0
        self.first_row = 0

    def __call__(self, number: int, line: str) -> tuple[str, str]:
        """Split a row. RETURNS (tuple[str, str]): Its token and its tag."""
        where = f"{self.path}:{number}"
        cells = _GAP.split(line)
        if not self.columns:
            if not MIN_COLUMNS <= len(cells) <= MAX_COLUMNS:
                expected = f"{MIN_COLUMNS} to {MAX_COLUMNS}, the token first and its NER tag last"
                raise CorpusError(f"{where}: {_count(cells)}, expected {expected}")
            self.columns, self.first_row = len(cells), number
        if len(cells) != self.columns:
            # Where tabs stand between the columns, blanks may stand in a token.
            cells = [cell.strip(_SEPARATORS) for cell in line.split("\t")]
            if len(cells) != self.columns:
                expected = f"{self.columns} as in line {self.first_row}"
                raise CorpusError(f"{where}: {_count(_GAP.split(line))}, expected {expected}")
        token, tag = cells[0], cells[-1]
        if not token:
            raise CorpusError(f"{where}: the first column is empty, expected a token")
        if not is_tag(tag):
            raise unknown_tag(where, tag)
        return token, tag


def _count(cells: list[str]) -> str:
    return f"{len(cells)} column{'s' if len(cells) > 1 else ''}"


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each line's number and text, without blanks and tabs at its end, and a last empty line that ends all."""
    number = offset = 0
    size = path.stat().st_size
    bar = tqdm(total=size, desc=path.name, unit="B", unit_scale=True, disable=None, leave=False)
    with path.open("rb") as file, bar:
        # Bytes, because only they are split at LF alone, and so that an error can tell where it stands.
        for number, raw in enumerate(file, start=1):
            line = raw.removeprefix(BOM_UTF8) if number == 1 else raw
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                at = offset + len(raw) - len(line) + error.start
                raise CorpusError(
                    f"{path}:{number}: byte 0x{line[error.start]:02x} at offset {at} is not UTF-8, expected a UTF-8 "
                    f"file: convert it, for example with `iconv -f LATIN1 -t UTF-8`"
                ) from error
            yield number, text.rstrip(_SEPARATORS + "\r\n")
            offset += len(raw)
            bar.update(len(raw))
    yield number + 1, ""
