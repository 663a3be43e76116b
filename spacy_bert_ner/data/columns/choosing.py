"""Choice of the columns of tokens and tags: by the user's options, by a header, or by the cells.

3   FC      B-ORG   O         the first column is an index; two columns could hold entities: an error
EU  NNP  I-NP  I-ORG          the types of the third are phrases: chunks, not entities
O   what                      the only tags are in the first column: the token follows
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from spacy_bert_ner.data.documents import CorpusError
from spacy_bert_ner.data.notes import Notes
from spacy_bert_ner.data.reading_options import ReadingOptions
from spacy_bert_ner.data.sentences import DOCSTART, TaggedSentence
from spacy_bert_ner.data.spelling import Assessment, assess, is_outside, is_typeless

from .numbering import find_numbering
from .tables import TAG_NAMES, TOKEN_NAMES, Table, name

# CoNLL-2000's phrases, and those of the German part of CoNLL-2003.
PHRASES = frozenset(["NP", "VP", "PP", "ADVP", "ADJP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP", "NC", "VC", "PC"])
# Minimum share of tags of a column that counts as one of tags with mistakes.
_MOSTLY = 0.5


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    token, tag (int): Their indices.
    chosen (bool): Whether the user has chosen the tags' column.
    says (str): A description for the user.
    """

    token: int
    tag: int
    chosen: bool
    says: str


def choose_columns(table: Table, options: ReadingOptions) -> Columns:
    """Choose the columns of tokens and tags.

    RAISES: CorpusError where none or several could hold the entities, or the user's choice does not exist.
    """
    token = _said(table, options.token_column, "--token-column")
    tag = _said(table, options.tag_column, "--tag-column")
    if token is not None and token == tag:
        raise CorpusError(f"{table.source}: column {token + 1} is said to hold tokens and tags, expected two columns")
    chosen = tag is not None
    if tag is None and table.header:
        tag = _named(table, TAG_NAMES)
    if token is None and table.header:
        token = _named(table, TOKEN_NAMES, other_than=tag)
        if token is None:
            raise CorpusError(
                f"{table.source}: the header ({', '.join(table.header)}) does not tell which column holds a token a "
                "row, expected one that is called token or word: say which it is with --token-column"
            )
    found = _candidates(table, options, token)
    tags = {*found} if tag is None else {*found, tag}
    numbering = {} if token is not None or table.header else find_numbering(table, tags or {table.width - 1})
    if tag is None:
        if token is None:
            token = _first_other(table, {*numbering, *(i for i, column in found.items() if column.share == 1)})
        tag = _choose(table, {i: column for i, column in found.items() if i != token}, options, token)
    if token is None:
        token = _first_other(table, {*numbering, tag})
    numbered = "".join(f"; column {i + 1} {does}" for i, does in numbering.items())
    says = f"tokens in {_call(table, token)}, tags in {_call(table, tag)} of {table.width}{numbered}"
    return Columns(token, tag, chosen, says)


def _call(table: Table, column: int) -> str:
    return f"column {column + 1}" + (f" ({table.header[column]})" if table.header else "")


def _said(table: Table, said: str, option: str) -> int | None:
    """Find the column that the user chose. RAISES: CorpusError where it does not exist."""
    if not said:
        return None
    try:
        number = int(said)
    except ValueError:
        if said in table.header:
            return table.header.index(said)
        names = f", or one of the names {', '.join(table.header)}" if table.header else "; its columns have no names"
        raise CorpusError(
            f"{table.source}: {option} {said}, expected a number from 1 to {table.width}, from the end -1 to "
            f"-{table.width}{names}"
        ) from None
    if not 1 <= abs(number) <= table.width:
        raise CorpusError(
            f"{table.source}: {option} {number}, but a row has {table.width} columns: expected a number from 1, or "
            "negative from the end"
        )
    return number - 1 if number > 0 else table.width + number


def _named(table: Table, names: frozenset[str], other_than: int | None = None) -> int | None:
    """Find the column with one of these names. RETURNS (int | None): None where there are none or several."""
    found = [i for i, cell in enumerate(table.header) if name(cell) in names and i != other_than]
    return found[0] if len(found) == 1 else None


def _candidates(table: Table, options: ReadingOptions, token: int | None) -> dict[int, Assessment]:
    """Find columns that could hold tags, including ones with mistakes and ones with O alone."""
    found = {}
    for i in range(table.width):
        counts = Counter() if i == token else table.counts(i)
        column = assess(counts, options, lower=False) if counts else None
        # Without a prefix anything may be a tag: only the last column is considered.
        bare = column is not None and column.spelling.example == "PER" and i < table.width - 1
        if column and not bare and column.share >= _MOSTLY and not (column.labels and column.labels <= PHRASES):
            found[i] = column
    return found


def _first_other(table: Table, taken: set[int]) -> int:
    return next((i for i in range(table.width) if i not in taken), 0)


def _choose(table: Table, found: dict[int, Assessment], options: ReadingOptions, token: int) -> int:
    """Choose among the columns that could hold tags."""
    entities = [i for i, column in found.items() if column.labels]
    if len(entities) > 1:
        listed = " and ".join(f"{_call(table, i)} ({_types(found[i])})" for i in entities)
        options_ = " or ".join(f"--tag-column {i + 1}" for i in entities)
        raise CorpusError(f"{table.source}: {listed} could both hold the entities: choose one with {options_}")
    if entities:
        # Not a column of O alone, as in files with an unused third column.
        return entities[0]
    if found:
        return max(found)
    last = max(i for i in range(table.width) if i != token)
    counts = table.counts(last)
    labels = (assess(counts, options) or Assessment(None, frozenset(), 0)).labels  # type: ignore[arg-type]
    if labels and labels <= PHRASES:
        raise CorpusError(
            f"{table.source}: {_call(table, last)} holds phrases ({', '.join(sorted(labels))}) and no column entities; "
            f"to take the phrases for entities, say --tag-column {last + 1}"
        )
    if is_typeless(counts):
        raise CorpusError(
            f"{table.source}: the tags of {_call(table, last)} are B, I and O, and name no type: say it with --label "
            "TYPE, such as --label Disease"
        )
    return last


def _types(column: Assessment) -> str:
    shown = sorted(column.labels)[:4]
    return ", ".join(shown) + (", …" if len(column.labels) > len(shown) else "")


def refuse_header(table: Table, columns: Columns, options: ReadingOptions) -> None:
    """RAISES: CorpusError where the first row seems to be a header with unknown names.

    It seems so where it is the only row without a tag, or has the name of a column of tags in its place.
    """
    first, *rest = (row.cells[columns.tag] for row in table.rows())
    if table.header or not rest:
        return
    whole, others = (assess(Counter(cells), options, columns.chosen) for cells in ([first, *rest], rest))
    # A name, and no misspelt tag such as b-PER, B or 0.
    alone = (
        len(first) > 1
        and first[1] not in "-_:"
        and (whole is None or whole.share < 1)
        and others is not None
        and others.share == 1
    )
    if alone or (name(first) in TAG_NAMES and first not in rest):
        row = next(table.rows())
        raise CorpusError(
            f"{table.source}:{row.line}: line {row.line} looks like a header ({', '.join(row.cells)}), as {first!r} is "
            "no tag and all below are: call the columns token and tag there, or delete the line"
        )


def read_sentences(table: Table, columns: Columns, notes: Notes) -> list[TaggedSentence]:
    """Read tokens and tags from a table.

    RETURNS (list[TaggedSentence]): Without rows of a blank token and the tag O, which are counted.
    RAISES: CorpusError where a blank token has another tag.
    """
    sentences = []
    marks = 0
    for block in table.blocks:
        rows = []
        for row in block.rows:
            token, tag = row.cells[columns.token], row.cells[columns.tag]
            if token.strip(" \t"):
                rows.append((row.line, token, tag))
            elif is_outside(tag, columns.chosen) or not tag:
                notes.count("{n} rows with a blank for a token, and the tag O, were left out")
            else:
                raise CorpusError(
                    f"{table.source}:{row.line}: the token is empty, and its tag is {tag!r}, expected a token"
                )
        if [token for _, token, _ in rows] == [DOCSTART]:
            marks += 1
        elif rows:
            lines, tokens, tags = zip(*rows, strict=True)
            document = block.document if block.document is not None or not marks else str(marks)
            sentences.append(TaggedSentence(tokens, tags, document, table.source, lines=lines))
    # Sentences before the first mark are a document, too.
    return [replace(s, document="0") if marks and s.document is None else s for s in sentences]


def has_one_sentence(sentences: Sequence[TaggedSentence]) -> bool:
    """RETURNS (bool): Whether a long file seems to lack sentence boundaries."""
    return len(sentences) == 1 and len(sentences[0].tokens) > 200
