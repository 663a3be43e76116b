"""CSV files: a header that names the columns, or none; sentence ids, or blank lines.

Sentence #,Word,POS,Tag
Sentence: 1,Crowds,NNS,O
,in,IN,O
,",",",",O
"""

import csv
import io
from collections import Counter

from spacy_bert_ner.data.documents import CorpusError
from spacy_bert_ner.data.reading_options import ReadingOptions
from spacy_bert_ner.data.spelling import assess

from .lines import SEPARATORS
from .tables import Block, Table, TableRow, is_header

_DELIMITERS = ",;\t|"


def read_commas(text: str, source: str) -> Table | None:
    """Read a CSV file. Without a header, all rows must have the same number of cells, the last a tag but for the first.

    source (str): The file's name, for messages.
    RETURNS (Table | None): Its rows; None where it is not CSV.
    RAISES: CorpusError with the line of a row that has more or fewer cells than the header.
    """
    first = next((line for line in text[:10_000].split("\n") if line.strip()), "")
    for delimiter in _DELIMITERS:
        try:
            cells = next(csv.reader([first.rstrip("\r")], delimiter=delimiter), [])
        except csv.Error:
            continue
        if len(cells) > 1 and is_header(tuple(cells)) and (delimiter != "\t" or '"' in first):
            return _with_header(text, source, delimiter)
    return _without_header(text, source, first)


def _with_header(text: str, source: str, delimiter: str) -> Table:
    blocks: list[Block] = [Block([])]
    header: tuple[str, ...] = ()
    for row in _rows(text, source, delimiter):
        if not any(cell.strip(SEPARATORS) for cell in row.cells):
            blocks.append(Block([]))
        elif not header:
            header = tuple(cell.strip(SEPARATORS) for cell in row.cells)
        elif len(row.cells) != len(header):
            raise CorpusError(
                f"{source}:{row.line}: {len(row.cells)} columns, expected {len(header)} as the header names: a cell "
                f"with a {delimiter!r} or a quote in it stands in quotes"
            )
        else:
            blocks[-1].rows.append(TableRow(row.line, tuple(cell.strip(SEPARATORS) for cell in row.cells)))
    return Table(source, [block for block in blocks if block.rows], len(header), header)


def _without_header(text: str, source: str, first: str) -> Table | None:
    for delimiter in ",;":
        if delimiter not in first:
            continue
        blocks: list[Block] = [Block([])]
        try:
            rows = _rows(text, source, delimiter)
        except CorpusError:
            continue
        for row in rows:
            if any(cell.strip(SEPARATORS) for cell in row.cells):
                blocks[-1].rows.append(TableRow(row.line, tuple(cell.strip(SEPARATORS) for cell in row.cells)))
            else:
                blocks.append(Block([]))
        blocks = [block for block in blocks if block.rows]
        table = Table(source, blocks, len(blocks[0].rows[0].cells) if blocks else 0)
        # A comma between tabs or blanks is a token.
        if not any("\t" in row.cells[-1] for row in rows if row.cells) and _has_tags(table):
            return table
    return None


def _has_tags(table: Table) -> bool:
    """RETURNS (bool): Whether rows have one width, and a tag in the last cell; the first may be an unknown header."""
    rows = [row.cells for row in table.rows()]
    if table.width < 2 or any(len(cells) != table.width for cells in rows) or not any(any(own[:-1]) for own in rows):
        return False
    tags = [cells[-1] for cells in rows]
    return any(
        (found := assess(Counter(own), ReadingOptions())) and found.share == 1 for own in (tags, tags[1:]) if own
    )


def _rows(text: str, source: str, delimiter: str) -> list[TableRow]:
    """Parse a CSV text. RAISES: CorpusError where a quote opens and does not close."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    line = 1
    try:
        for cells in reader:
            if any("\n" in cell for cell in cells):
                raise CorpusError(
                    f'{source}:{line}: a quote opens and does not close in this line; a cell that is a quote is """"'
                )
            rows.append(TableRow(line, tuple(cells)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise CorpusError(f'{source}:{line}: this is no CSV: {error}; a cell that is a quote is """"') from error
    return rows
