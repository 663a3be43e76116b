"""Leading columns that number tokens or sentences: they hold no tokens, though nothing names them.

1-1  Anna  B-PER      s1  Anna  B-PER      0  1  Anna  B-PER      0  4  Anna  B-PER
1-2  sang  O          s1  sang  O          0  2  sang  O          5  9  sang  O
counts                ids                  ids, then counts       offsets: the user has to say it
"""

import re
from itertools import groupby, pairwise

from spacy_bert_ner.data.documents import CorpusError

from .tables import Table

COUNTS, IDS = "counts the tokens", "holds an id for each sentence"
# 7, 7., [7], 3-7, 1.3.7, and with a name before it: s7, Sentence: 7.
_NUMBER = re.compile(r"(\D*?)(?:\d{1,18}[.:/_-])*(\d{1,18})\W*")
# What the column beside real numbers holds, in lower case: their part of speech.
_NUMERALS = frozenset(["cd", "num", "card", "numeral", "number", "m", "mc", "adj", "noun", "det", "sym", "x", "no"])
# Parts of speech of numbers are not as varied as this.
_VARIED = 3

Cells = list[list[str]]


def find_numbering(table: Table, tags: set[int]) -> dict[int, str]:
    """Find the columns before the tokens that number them, or their sentences.

    table (Table): A table without a header.
    tags (set[int]): Columns that hold tags.
    RETURNS (dict[int, str]): What each of the columns does, in words.
    RAISES: CorpusError where columns look like that and may hold tokens all the same.
    """
    others = [i for i in range(table.width) if i not in tags]
    cells = {i: _cells(table, i) for i in others}
    n = 0
    while table.width > 2 and n + 1 < len(others) and _may_number(cells[others[n]]):
        n += 1
    while n and not _holds_words(cells[others[n]], cells[others[n - 1]]):
        if n == 1 and _counts_perfectly(cells[others[0]]):
            return {others[0]: COUNTS}
        n -= 1
    found: dict[int, str] = {}
    for i in reversed(others[:n]):
        says = _certainly(cells[i], before_count=COUNTS in found.values())
        if says is None:
            raise _unsure(table, i, others[n], cells[i])
        found[i] = says
    return dict(sorted(found.items()))


def _cells(table: Table, column: int) -> Cells:
    """Take a column's cells, sentence by sentence; an empty one stands for the one above it."""
    last = ""
    blocks: Cells = []
    for block in table.blocks:
        blocks.append([])
        for row in block.rows:
            last = row.cells[column].strip() or last
            blocks[-1].append(last)
    return blocks


def _flat(cells: Cells) -> list[str]:
    return [cell for block in cells for cell in block]


def _numbers(cells: Cells) -> list[list[int]] | None:
    """Read cells as numbers; of 3-7, a sentence's and a token's, the last. RETURNS: None where they are none."""
    flat = _flat(cells)
    matches = {cell: _NUMBER.fullmatch(cell) for cell in set(flat)}
    found = {cell: match for cell, match in matches.items() if match}
    names = {match[1] for match in found.values()}
    # One word with a number at its end is a word: B2.
    if len(found) < len(matches) or len(names) > 1 or (names != {""} and len(flat) < 2):
        return None
    numbers = {cell: int(match[2]) for cell, match in found.items()}
    return [[numbers[cell] for cell in block] for block in cells]


def _may_number(cells: Cells) -> bool:
    """Say whether cells are numbers, or change from sentence to sentence, or at least as rarely as ids do."""
    flat = _flat(cells)
    runs = [value for value, _ in groupby(flat)]
    rarely = len(runs) == len(set(runs)) and len(runs) * 2 <= len(flat)
    return _numbers(cells) is not None or rarely or (_is_constant(cells) and 1 < len(set(flat)) < len(flat))


def _is_constant(cells: Cells) -> bool:
    return all(len(set(block)) == 1 for block in cells)


def _holds_words(cells: Cells, before: Cells) -> bool:
    """Say whether a column looks like words, not like the lemmas or parts of speech of the numbers or words before."""
    own, others = _flat(cells), _flat(before)
    pairs = list(zip(others, own, strict=True))
    if all(left.casefold() == right.casefold() for left, right in pairs):
        return False
    if _numbers(before) is None and len(set(pairs)) == len(set(others)):
        return False
    distinct = set(own)
    if len(distinct) == 1 and len(own) >= _VARIED:
        return False
    return len(distinct) >= _VARIED or any(_is_word(cell) for cell in distinct)


def _is_word(cell: str) -> bool:
    """Say whether there are letters that are no capitals: NNP and CARD are no words."""
    return cell.casefold() not in _NUMERALS and any(c.isalpha() and not c.isupper() for c in cell)


def _counts_perfectly(cells: Cells) -> bool:
    """Say whether cells count from 0 or 1 in each sentence, or throughout: so does no column of tokens."""
    flat = _flat(cells)
    if len(flat) == 1 or flat[0] not in ("0", "1"):
        return False
    start = int(flat[0])
    counted = [str(i) for i in range(start, start + len(flat))]
    return flat == counted or all(block == counted[: len(block)] for block in cells)


def _counts(numbers: list[list[int]]) -> bool:
    """Say whether numbers go up from 0 or 1, mostly by one, and begin again now and then."""
    flat = [(number, i == 0) for block in numbers for i, number in enumerate(block)]
    if flat[0][0] > 1:
        return False
    steps = []
    for (left, _), (right, begins) in pairwise(flat):
        if right > left:
            steps.append(right - left)
        elif right > 1 or (right == left and not begins):
            return False
    return steps.count(1) * 2 >= len(steps)


def _certainly(cells: Cells, before_count: bool) -> str | None:
    """Say what a column that may number does. RETURNS (str | None): None where that is not certain."""
    flat = _flat(cells)
    if _is_constant(cells) and len(set(flat)) < len(flat) and (before_count or len(set(flat)) > 1):
        return IDS
    numbers = _numbers(cells)
    return COUNTS if numbers and _counts(numbers) else None


def _unsure(table: Table, column: int, token: int, cells: Cells) -> CorpusError:
    shown = ", ".join(repr(cell) for cell in _flat(cells)[:3])
    row = next(table.rows())
    ids = (
        ""
        if len(table.blocks) > 1
        else "; if it holds ids of sentences, a first line that names the columns (sentence, token, tag) says so"
    )
    return CorpusError(
        f"{table.source}: column {column + 1} ({shown}) looks like numbers or ids, no tokens, and nothing tells for "
        f"certain: say --token-column {token + 1} if the tokens are {row.cells[token]!r} and so on, or --token-column "
        f"{column + 1}{ids}"
    )
