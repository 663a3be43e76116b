"""Pipe-separated text: spaCy's .iob, a sentence a line, and columns separated by pipes.

Anna|NNP|B-PER Berg|NNP|I-PER sang|VBD|O
"""

from collections import Counter

from spacy_bert_ner.data.reading_options import ReadingOptions
from spacy_bert_ner.data.spelling import assess

from .lines import GAP, SEPARATORS, Lines
from .tables import Block, Table, TableRow


def read_pipes(lines: Lines, source: str) -> Table | None:
    """Read pipe-separated text: each item has the same number of pipes, or more in its token, and ends in a tag.

    source (str): The file's name, for messages.
    RETURNS (Table | None): Its rows; None where it is of another form.
    """
    sentences = [
        (lines.document(block), number, GAP.split(line.strip(SEPARATORS)))
        for block in lines.blocks
        for number, line in block.lines
    ]
    items = [item for _, _, sentence in sentences for item in sentence]
    pipes = min((item.count("|") for item in items), default=0)
    if not pipes:
        return None
    tags = assess(Counter(item.rpartition("|")[2] for item in items), ReadingOptions())
    if not tags or tags.share < 1:
        return None
    if all(len(sentence) == 1 for _, _, sentence in sentences):
        blocks = [
            Block(
                [TableRow(number, _cells(line.strip(SEPARATORS), pipes)) for number, line in block.lines],
                lines.document(block),
            )
            for block in lines.blocks
        ]
    else:
        blocks = [
            Block([TableRow(number, _cells(item, pipes)) for item in sentence], document)
            for document, number, sentence in sentences
        ]
    return Table(source, blocks, pipes + 1)


def _cells(item: str, pipes: int) -> tuple[str, ...]:
    return tuple(item.rsplit("|", pipes))
