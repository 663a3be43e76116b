"""CoNLL-U's multiword tokens: a row 3-4, and its words 3 and 4.

3-4  dell'Anna  _  …  NE=B-PER     the token's tag: for its words, if they have none
3    dell'      _  …  _
4    Anna       _  …  _
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from spacy_bert_ner.data.documents import Sentence
from spacy_bert_ner.data.notes import Notes
from spacy_bert_ner.data.overlaps import TokenSpan, flatten
from spacy_bert_ner.data.reading_options import ReadingOptions
from spacy_bert_ner.data.spelling import USUAL_SPELLING, Spelling, assess
from spacy_bert_ner.tags import OUTSIDE

FORM, MISC = 1, 9
NOTHING = "_"
CUT = "{n} entities begin or end within a token of several words; the tokens that they touch count as unannotated:"
DISAGREE = "{n} tokens of several words have a tag that their words contradict; they count as unannotated:"


@dataclass(frozen=True, slots=True)
class Range:
    """A multiword token: its number of words, its line and its cells."""

    n: int
    line: int
    cells: list[str]


@dataclass
class Words:
    """A sentence: its words, and which of them are one token of the text.

    source (str): The file's name, for messages.
    document (str | None): Id of the document.
    rows (list[tuple[int, list[str]]]): Line and cells of each word, and of empty nodes, whose id has a dot.
    ranges (dict[int, Range]): Multiword tokens, by the index of their first word.
    """

    source: str
    document: str | None
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    ranges: dict[int, Range] = field(default_factory=dict)

    def words(self) -> list[tuple[int, list[str]]]:
        """RETURNS (list[tuple[int, list[str]]]): Line and cells of each word of the text."""
        return [(line, cells) for line, cells in self.rows if "." not in cells[0]]

    def cells(self) -> list[list[str]]:
        """RETURNS (list[list[str]]): Cells of each word and each multiword token."""
        return [cells for _, cells in self.words()] + [own.cells for own in self.ranges.values()]


def is_number(name: str) -> bool:
    """RETURNS (bool): Whether tags are in a column, given by its number, and not under a name in MISC."""
    return name.lstrip("-").isdigit()


def read_misc(cells: list[str]) -> dict[str, str]:
    """RETURNS (dict[str, str]): The pairs NAME=VALUE of MISC."""
    pairs = (item.partition("=") for item in cells[MISC].split("|"))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def read_tag(cells: list[str], name: str) -> str | None:
    """RETURNS (str | None): A row's tag, under a name in MISC or in a column; None where it has none."""
    if not is_number(name):
        return read_misc(cells).get(name)
    tag = cells[int(name) - 1 if int(name) > 0 else int(name)]
    return None if tag == NOTHING else tag


def _with_tag(cells: list[str], name: str, tag: str) -> list[str]:
    column, cell = (int(name), tag) if is_number(name) else (MISC + 1, f"{name}={tag}")
    changed = list(cells)
    changed[column - 1 if column > 0 else column] = cell
    return changed


def merge(sentences: Sequence[Words], name: str, notes: Notes) -> Iterator[tuple[Words, set[int]]]:
    """Replace the words of a tagged multiword token by the token.

    name (str): Where tags are: a name in MISC, or a column's number.
    notes (Notes): Receives tokens whose words have contradicting tags.
    YIELDS (tuple[Words, set[int]]): Each sentence, and the indices of such tokens.
    """
    counts = Counter(tag for words in sentences for cells in words.cells() if (tag := read_tag(cells, name)))
    found = assess(counts, ReadingOptions()) if counts else None
    for words in sentences:
        yield _merge(words, name, found.spelling if found else USUAL_SPELLING, notes)


def _merge(words: Words, name: str, spelling: Spelling, notes: Notes) -> tuple[Words, set[int]]:
    merged, doubtful = Words(words.source, words.document), set()
    rows = words.words()
    i = at = 0
    while i < len(rows):
        whole = words.ranges.get(i)
        tag = read_tag(whole.cells, name) if whole else None
        if whole is None or tag is None:
            merged.ranges.update({at: whole} if whole else {})
            n = whole.n if whole else 1
            merged.rows += rows[i : i + n]
            i, at = i + n, at + n
            continue
        parts = [own for _, cells in rows[i : i + whole.n] if (own := read_tag(cells, name)) is not None]
        cells = whole.cells
        if parts and not _agree(tag, parts, spelling):
            place = f"{words.source}:{whole.line}: {cells[FORM]!r} is {tag}, its words are {' '.join(parts)}"
            notes.place(DISAGREE, place)
            doubtful.add(at)
            # An entity that continues in it, by either tag, is doubtful, too.
            inside = next((own for own in [tag, *parts] if own != OUTSIDE), tag)
            cells = _with_tag(cells, name, inside)
        merged.rows.append((whole.line, cells))
        i, at = i + whole.n, at + 1
    return merged, doubtful


def _agree(tag: str, parts: list[str], spelling: Spelling) -> bool:
    """RETURNS (bool): Whether a token's tag agrees with its words' tags."""
    spelt = [OUTSIDE if own == OUTSIDE else spelling.read(own) or own for own in (tag, *parts)]
    whole, *own = spelt
    begins, ends = [s.startswith(("B", "U", "S")) for s in spelt], [s.startswith(("L", "U", "E", "S")) for s in spelt]
    return (
        {s.partition("-")[2] for s in own} == {whole.partition("-")[2]}
        and begins[0] == begins[1]
        and ends[0] == ends[-1]
        and not any(begins[2:])
        and not any(ends[1:-1])
    )


def doubt(sentence: Sentence, doubtful: set[int]) -> Sentence:
    """Make tokens unannotated, together with the entities that they are in.

    doubtful (set[int]): Indices of the tokens.
    """
    touched = [entity for entity in sentence.entities if doubtful & set(range(entity.start, entity.end))]
    unknown = {*sentence.unknown, *doubtful, *(i for entity in touched for i in range(entity.start, entity.end))}
    kept = tuple(entity for entity in sentence.entities if entity not in touched)
    return replace(sentence, entities=kept, unknown=tuple(sorted(unknown)))


def join(words: Words, sentence: Sentence, notes: Notes) -> Sentence:
    """Make tokens of the text of words.

    words (Words): The words.
    sentence (Sentence): They and their entities.
    notes (Notes): Gets entities that begin or end within a token.
    RETURNS (Sentence): The tokens and theirs.
    """
    if not words.ranges:
        return sentence
    tokens: list[str] = []
    at: list[int] = []
    for i, word in enumerate(sentence.tokens):
        inside = next((first for first, own in words.ranges.items() if first <= i < first + own.n), None)
        if inside is None or inside == i:
            tokens.append(word if inside is None else words.ranges[i].cells[FORM])
        at.append(len(tokens) - 1)
    spans, unknown = [], {at[i] for i in sentence.unknown}
    lines = [line for line, _ in words.words()]
    for start, end, label in sentence.entities:
        first, last = at[start], at[end - 1]
        touched = tuple(range(first, last + 1))
        if at.index(first) == start and len(at) - 1 - at[::-1].index(last) == end - 1:
            spans.append(TokenSpan(touched, label, f"{words.source}:{lines[start]}"))
        else:
            quoted = " ".join(sentence.tokens[start:end])
            within = " | ".join(tokens[i] for i in touched)
            notes.place(CUT, f"{words.source}:{lines[start]}: {quoted!r} ({label}); tokens there: {within}")
            unknown.update(touched)
    joined = flatten(tuple(tokens), spans, notes)
    inside_entities = {i for start, end, _ in joined.entities for i in range(start, end)}
    return Sentence(joined.tokens, joined.entities, tuple(sorted({*joined.unknown, *unknown} - inside_entities)))
