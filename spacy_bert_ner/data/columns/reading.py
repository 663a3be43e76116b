"""Column files: a token a line, its tag in another column, a blank line after each sentence.

    -DOCSTART- -X- O O

    EU NNP I-NP I-ORG
    rejects VBZ I-VP O

Source: the shared task of CoNLL-2003 (Tjong Kim Sang & De Meulder 2003).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from spacy_bert_ner.data.documents import CorpusError, Document
from spacy_bert_ner.data.encodings import decode
from spacy_bert_ner.data.notes import Notes
from spacy_bert_ner.data.reading_options import ReadingOptions
from spacy_bert_ner.data.spelling import USUAL_SPELLING, assess, is_tag
from spacy_bert_ner.data.tagged import group_sentences, make_documents

from .choosing import choose_columns, has_one_sentence, read_sentences, refuse_header
from .comma import read_commas
from .conllu import is_conllu, read_conllu
from .lines import GAP, SEPARATORS, Lines, read_lines
from .pipes import read_pipes
from .tables import Block, Table, TableRow, is_header, regroup
from .webanno import is_webanno, read_webanno

# In fewer rows, each token may contain a blank by chance.
_FEW = 3
EXPECTED_LINES = "expected lines of a token and its tag, a blank line after each sentence"


class TextFile:
    """A text of lines, parsed lazily, as far as the layouts' tests need.

    source (str): The file's name, for messages.
    notes (Notes): Receives assumptions, and what was left out.
    """

    def __init__(self, text: str, source: str, options: ReadingOptions, notes: Notes) -> None:
        # Without any LF, lines end with CR alone.
        self.text = text if "\n" in text else text.replace("\r", "\n")
        self.source, self.options, self.notes = source, options, notes
        # The columns of tokens and tags, once read: they must be the same in all files of a corpus.
        self.columns = ""

    @cached_property
    def commas(self) -> Table | None:
        """The rows, where it is a CSV file."""
        return read_commas(self.text, self.source)

    @cached_property
    def lines(self) -> Lines:
        """The lines."""
        return read_lines(self.text)

    @cached_property
    def pipes(self) -> Table | None:
        """The rows, where it is a file of tokens with pipes."""
        return read_pipes(self.lines, self.source)


@dataclass(frozen=True)
class FileLayout:
    """A layout of rows of tokens.

    name (str): For messages and the guide.
    holds (str): A line for the guide.
    matches (Callable[[TextFile], bool]): Whether a file has this layout.
    read (Callable[[TextFile], list[Document]]): Its reader.
    """

    name: str
    holds: str
    matches: Callable[[TextFile], bool]
    read: Callable[[TextFile], list[Document]]


def read_columns(path: Path, options: ReadingOptions | None = None, notes: Notes | None = None) -> list[Document]:
    """Read a file of one of the LAYOUTS, in any of the tag schemes.

    path (Path): UTF-8, or UTF-16 with a byte order mark; lines end with LF or CRLF.
    notes (Notes | None): Receives assumptions, and what was left out.
    RETURNS (list[Document]): A document per DOCSTART line that sentences follow, one for sentences before the first;
        where documents are not marked, one per `options.n_sents` sentences.
    RAISES: CorpusError with file and line of the first error.
    """
    file = TextFile(decode(path.read_bytes(), path), str(path), options or ReadingOptions(), notes or Notes())
    return next(layout for layout in LAYOUTS if layout.matches(file)).read(file)


def _read_webanno(file: TextFile) -> list[Document]:
    return [read_webanno(file.text, file.source, file.options, file.notes)]


def _read_conllu(file: TextFile) -> list[Document]:
    sentences = read_conllu(file.lines, file.source, file.options, file.notes)
    return group_sentences(sentences, file.source, file.options, file.notes)


def _read_table(file: TextFile) -> list[Document]:
    table = file.commas
    if table is None:
        notes = file.notes
        notes.count("{n} comment lines (they begin with #) were left out", len(file.lines.comments))
        table = file.pipes or _split(file.lines, file.source)
    table = regroup(table)
    if not table.blocks:
        raise CorpusError(f"{file.source}: no sentences, {EXPECTED_LINES}")
    columns = choose_columns(table, file.options)
    refuse_header(table, columns, file.options)
    file.columns = columns.says
    file.notes.say(f"{file.source}: {columns.says}")
    sentences = read_sentences(table, columns, file.notes)
    if not sentences:
        raise CorpusError(f"{file.source}: no sentences, {EXPECTED_LINES}")
    if has_one_sentence(sentences):
        file.notes.say(
            f"{file.source}: one sentence of {len(sentences[0].tokens):,} tokens, as no blank line and no column of "
            "sentence ids tells where sentences end"
        )
    return make_documents(sentences, file.source, file.options, file.notes, chosen=columns.chosen)


LAYOUTS: tuple[FileLayout, ...] = (
    FileLayout(
        "WebAnno, INCEpTION",
        "TSV 3, which begins with `#FORMAT=WebAnno TSV 3.3`",
        lambda file: is_webanno(file.text),
        _read_webanno,
    ),
    FileLayout(
        "CSV",
        "`Sentence #,Word,POS,Tag`, or `token,tag` rows without a header; sentence ids or blank lines",
        lambda file: file.commas is not None,
        _read_table,
    ),
    FileLayout(
        "CoNLL-U",
        "ten columns; the tag in the last one, as `name=B-PER`, `NE=B-PER` or CorefUD's `Entity=(…)`",
        lambda file: is_conllu(file.lines),
        _read_conllu,
    ),
    FileLayout(
        "tokens with pipes",
        r"`Anna\|NNP\|B-PER sang\|VBD\|O`, a sentence a line",
        lambda file: file.pipes is not None,
        _read_table,
    ),
    FileLayout(
        "column file",
        "a token and its tag a line, between blanks or tabs, a blank line after each sentence",
        lambda file: True,
        _read_table,
    ),
)


def by_gaps(line: str) -> list[str]:
    """Split a line at blanks and tabs."""
    return GAP.split(line)


def by_tabs(line: str) -> list[str]:
    """Split a line at tabs: tokens and names of types may contain blanks."""
    return [cell.strip(SEPARATORS) for cell in line.split("\t")]


def _split(lines: Lines, source: str) -> Table:
    """Split lines at the separator that gives all the same number of cells. RAISES: CorpusError where none does."""
    tabs, gaps = (_split_by(split, lines, source) for split in (by_tabs, by_gaps))
    if tabs is not None and (gaps is None or not _has_blanks_for_tabs(tabs)):
        return tabs
    return gaps or _split_by_either(lines, source)


def _has_blanks_for_tabs(table: Table) -> bool:
    """RETURNS (bool): Whether blanks separate columns, too: `EU NNP⇥B-ORG` in all rows."""
    tags = (assess(table.counts(i), ReadingOptions()) for i in range(table.width))
    if not any(found and found.share == 1 for found in tags):
        return True
    few = sum(1 for _ in table.rows()) < _FEW
    return not few and any(all(" " in cell for cell in table.counts(i)) for i in range(table.width))


def _split_by(split: Callable[[str], list[str]], lines: Lines, source: str) -> Table | None:
    blocks = []
    width = 0
    for block in lines.blocks:
        rows = []
        for number, line in block.lines:
            cells = tuple(split(line))
            width = width or len(cells)
            if len(cells) != width:
                return None
            rows.append(TableRow(number, cells))
        blocks.append(Block(rows, lines.document(block)))
    return _table(source, blocks, width) if width > 1 else None


def _table(source: str, blocks: list[Block], width: int) -> Table:
    header: tuple[str, ...] = ()
    if blocks and is_header(blocks[0].rows[0].cells):
        header = blocks[0].rows[0].cells
        blocks[0].rows = blocks[0].rows[1:]
        blocks = [block for block in blocks if block.rows]
    return Table(source, blocks, width, header)


def _split_by_either(lines: Lines, source: str) -> Table:
    """Split all rows into as many columns as the first has, at blanks and tabs, or else at tabs alone."""
    blocks = []
    width = first = 0
    if lines.blocks and not any(is_tag(by_gaps(line)[-1]) for block in lines.blocks for _, line in block.lines):
        number, line = lines.blocks[0].lines[0]
        raise CorpusError(f"{source}:{number}: found {line[:60]!r} and no tag in any line, {EXPECTED_LINES}")
    for block in lines.blocks:
        rows = []
        for number, line in block.lines:
            cells = by_gaps(line)
            if not width:
                width, first = len(cells), number
                if width == 1:
                    raise CorpusError(f"{source}:{number}: 1 column, {EXPECTED_LINES}")
            if len(cells) != width:
                cells = by_tabs(line)
            if len(cells) != width:
                raise CorpusError(_ragged(f"{source}:{number}", by_gaps(line), width, first) + _blank_in_type(lines))
            rows.append(TableRow(number, tuple(cells)))
        blocks.append(Block(rows, lines.document(block)))
    return _table(source, blocks, width)


def _ragged(where: str, cells: Sequence[str], width: int, first: int) -> str:
    return f"{where}: {len(cells)} column{'s' if len(cells) > 1 else ''}, expected {width} as in line {first}"


def _blank_in_type(lines: Lines) -> str:
    """RETURNS (str): Which type's name contains a blank, where that is why rows differ; "" where it is not."""
    rows = [(number, by_gaps(line)) for block in lines.blocks for number, line in block.lines]
    usual = min(len(cells) for _, cells in rows)
    for number, cells in rows:
        if len(cells) > usual and USUAL_SPELLING.read(cells[usual - 1]):
            tag = " ".join(cells[usual - 1 :])
            return (
                f"; line {number} has the tag {tag!r}: a blank in a type's name needs tabs between the "
                "columns: put them there, or rename the type"
            )
    return ""
