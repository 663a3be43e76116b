"""Tables: rows of cells in sentences, the common form of column files and CSV files.

text ──► lines ──► table ──► columns chosen ──► tagged sentences ──► documents
         lines.py  columns.py, comma.py, conllu.py, pipes.py    choosing.py   tagged.py
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: its line, counted from 1, and its cells."""

    line: int
    cells: tuple[str, ...]


@dataclass(slots=True)
class Block:
    """A sentence.

    rows (list[TableRow]): Its rows.
    document (str | None): Id of its document; None where nothing tells.
    """

    rows: list[TableRow]
    document: str | None = None


@dataclass
class Table:
    """Rows of one width.

    source (str): The file.
    blocks (list[Block]): Sentences.
    width (int): Cells to a row.
    header (tuple[str, ...]): Names of the columns; empty where they have none.
    """

    source: str
    blocks: list[Block]
    width: int
    header: tuple[str, ...] = field(default=())

    def rows(self) -> Iterator[TableRow]:
        """YIELDS (TableRow): All rows."""
        for block in self.blocks:
            yield from block.rows

    def counts(self, column: int) -> Counter[str]:
        """Count the cells of a column."""
        return Counter(row.cells[column] for row in self.rows())


def name(header: str) -> str:
    """Make a column's name comparable: `Sentence #` is sentence, `NER_Tags` nertags."""
    return "".join(character for character in header.lower() if character.isalnum())


TOKEN_NAMES = frozenset(["token", "tokens", "word", "words", "form", "text", "surface"])
TAG_NAMES = frozenset(
    [
        "tag",
        "tags",
        "ner",
        "ne",
        "nertag",
        "nertags",
        "netag",
        "label",
        "labels",
        "entity",
        "entities",
        "iob",
        "iob2",
        "bio",
        "bio2",
        "iobtag",
        "biotag",
        "bilou",
        "biluo",
        "bioes",
        "namedentity",
        "nerlabel",
    ]
)
SENTENCE_NAMES = frozenset(
    [
        "sentence",
        "sentenceid",
        "sentenceidx",
        "sentenceno",
        "sentencenumber",
        "sentencenum",
        "sentid",
        "sentidx",
        "sent",
        "sentno",
        "sentnum",
    ]
)
DOCUMENT_NAMES = frozenset(
    ["doc", "docid", "docidx", "document", "documentid", "article", "articleid", "file", "filename", "docname"]
)


def is_header(cells: tuple[str, ...]) -> bool:
    """RETURNS (bool): Whether the first row of a table names its columns."""
    names = {name(cell) for cell in cells}
    return bool(names & TAG_NAMES) and bool(names & (TOKEN_NAMES | SENTENCE_NAMES))


def regroup(table: Table) -> Table:
    """Group the rows of a table with a header into sentences, by its columns of sentence and document ids.

    An id is in each row, or in the first of its sentence, as in Kaggle's ner_dataset.csv. Without such a column the
    sentences of the blank lines stay.
    """
    names = [name(cell) for cell in table.header]
    sentence = next((i for i, own in enumerate(names) if own in SENTENCE_NAMES), None)
    document = next((i for i, own in enumerate(names) if own in DOCUMENT_NAMES), None)
    if sentence is None and document is None:
        return table
    blocks: list[Block] = []
    ids = ["", ""]
    for block in table.blocks:
        begins = True
        for row in block.rows:
            before = list(ids)
            for i, column in enumerate((document, sentence)):
                ids[i] = (row.cells[column].strip() if column is not None else "") or ids[i]
            if begins or ids != before:
                blocks.append(Block([], ids[0] or block.document))
            # Ids take precedence over blank lines.
            begins = False
            blocks[-1].rows.append(row)
    return Table(table.source, blocks, table.width, table.header)
