"""CoNLL-U (universaldependencies.org/format.html): ten columns, the tag under a name in the last.

    5   Oslo   Oslo   PROPN   _   _   3   obl   _   SpaceAfter=No|name=B-LOC     name=, NE= and others: a tag a token
    5   Oslo   Oslo   PROPN   _   _   3   obl   _   Entity=(e3-place)            CorefUD's brackets: brackets.py

A row 3-4 is a token of the text that the words 3 and 4 follow: it becomes the token, and they do not. A row 5.1 stands
for what the text leaves out: it becomes none.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from spacy_bert_ner.corpus.brackets import BRACKETS, Bracket, label_index, read_brackets
from spacy_bert_ner.corpus.documents import CorpusError, Sentence
from spacy_bert_ner.corpus.lines import Lines
from spacy_bert_ner.corpus.notes import Notes
from spacy_bert_ner.corpus.options import Options
from spacy_bert_ner.corpus.overlaps import TokenSpan, flatten
from spacy_bert_ner.corpus.sentences import TaggedSentence
from spacy_bert_ner.corpus.spelling import assess
from spacy_bert_ner.corpus.tagged import make_sentences

_ID = re.compile(r"(\d+)(?:-(\d+)|(\.\d+))?")
_WIDTH, _FORM, _MISC = 10, 1, 9
_EXPECTED = "expected name=B-PER, NE=B-PER or the like, or Entity=(…) as CorefUD has it"
CUT = "{n} entities begin or end within a token of several words; the tokens that they touch count as unannotated:"


@dataclass
class Words:
    """A sentence: its words, and which of them are one token of the text.

    source (str): The file.
    document (str | None): Id of the document.
    rows (list[tuple[int, list[str]]]): Line and cells of each word, and of empty ones, whose id has a dot.
    tokens (dict[int, tuple[int, str]]): By the first word's index of a token of several: how many, and its form.
    """

    source: str
    document: str | None
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    tokens: dict[int, tuple[int, str]] = field(default_factory=dict)

    def words(self) -> list[tuple[int, list[str]]]:
        """RETURNS (list[tuple[int, list[str]]]): Line and cells of each word of the text."""
        return [(line, cells) for line, cells in self.rows if "." not in cells[0]]


def is_conllu(lines: Lines) -> bool:
    """Say whether lines are CoNLL-U: ten cells between tabs, of which the first is an id as there."""
    rows = [line.split("\t") for block in lines.blocks[:20] for _, line in block.lines]
    return bool(rows) and all(len(cells) == _WIDTH and _ID.fullmatch(cells[0]) for cells in rows)


def read_conllu(lines: Lines, source: str, options: Options, notes: Notes) -> list[tuple[Sentence, str | None]]:
    """Read CoNLL-U.

    lines (Lines): Its lines.
    source (str): The file.
    options (Options): `tag_column` is a name in MISC, or a column's number.
    notes (Notes): Gets where the tags were found, and what could not be read.
    RETURNS (list[tuple[Sentence, str | None]]): Sentences and the ids of their documents.
    RAISES: CorpusError where nothing, or more than one thing, can be the tags.
    """
    sentences = [_read_words(block.lines, source, lines.document(block), notes) for block in lines.blocks]
    sentences = [words for words in sentences if words.words()]
    if not sentences:
        raise CorpusError(f"{source}: no sentences, expected rows of words")
    name = _said(options.tag_column, sentences, source) or _find_name(sentences, source, notes)
    if name in BRACKETS and _has_brackets(sentences, name):
        notes.say(f"{source}: entities are the mentions that {name}= in MISC marks, whether names or not")
        index = label_index(lines.comments, name)
        read = [_from_brackets(words, name, index, notes) for words in sentences]
    else:
        notes.say(f"{source}: CoNLL-U, tags in {_call(name)}")
        tagged = [_tag(words, name, notes) for words in sentences]
        read = make_sentences(tagged, options, notes, chosen=bool(options.tag_column))
    joined = [_join(words, sentence, notes) for words, sentence in zip(sentences, read, strict=True)]
    return [(sentence, words.document) for words, sentence in zip(sentences, joined, strict=True)]


def _said(name: str, sentences: list[Words], source: str) -> str:
    """Check what the user says. RAISES: CorpusError where MISC has no such name, or there is no such column."""
    if name.lstrip("-").isdigit():
        if not 1 <= abs(int(name)) <= _WIDTH:
            raise CorpusError(f"{source}: --tag-column {name}, but CoNLL-U has {_WIDTH} columns")
        return name
    names = {key for words in sentences for _, cells in words.rows for key in _misc(cells)}
    if name and name not in names:
        raise CorpusError(
            f"{source}: --tag-column {name}, expected a column's number or one of MISC's names: {_list(names)}"
        )
    return name


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _call(name: str) -> str:
    return f"column {name}" if name.lstrip("-").isdigit() else f"{name}= of MISC"


def _read_words(lines: Sequence[tuple[int, str]], source: str, document: str | None, notes: Notes) -> Words:
    words = Words(source, document)
    count = 0
    for number, line in lines:
        cells = line.split("\t")
        match = _ID.fullmatch(cells[0])
        if match is None or len(cells) != _WIDTH:
            raise CorpusError(
                f"{source}:{number}: {len(cells)} columns, the first {cells[0]!r}, expected CoNLL-U's {_WIDTH}, the "
                "first a number, as in the lines above"
            )
        if match[2]:
            words.tokens[count] = int(match[2]) - int(match[1]) + 1, cells[_FORM]
            continue
        count += match[3] is None
        notes.count("{n} empty words (5.1) were left out, which the text does not have", match[3] is not None)
        words.rows.append((number, cells))
    return words


def _misc(cells: list[str]) -> dict[str, str]:
    pairs = (item.partition("=") for item in cells[_MISC].split("|"))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def _find_name(sentences: list[Words], source: str, notes: Notes) -> str:
    """Find the name under which MISC has the tags, or the number of its column."""
    counts: dict[str, Counter[str]] = {}
    for words in sentences:
        for _, cells in words.words():
            for key, value in _misc(cells).items():
                counts.setdefault(key, Counter())[value] += 1
    found = [key for key, values in counts.items() if (tags := assess(values, Options())) and tags.share == 1]
    with_entities = [key for key in found if (tags := assess(counts[key], Options())) and tags.labels]
    names = with_entities or found
    if len(names) > 1:
        listed = " and ".join(f"{name}=" for name in names)
        raise CorpusError(
            f"{source}: {listed} of MISC could both be the tags: choose one with "
            f"{' or '.join(f'--tag-column {name}' for name in names)}"
        )
    brackets = [key for key in counts if key in BRACKETS and _has_brackets(sentences, key)]
    if names and brackets:
        notes.say(f"{source}: {brackets[0]}= of MISC was not read; --tag-column {brackets[0]} reads it instead")
    if names or brackets:
        return (names or brackets)[0]
    last = assess(Counter(cells[_MISC] for words in sentences for _, cells in words.words()), Options())
    if last and last.labels and last.share == 1:
        return str(_WIDTH)
    raise CorpusError(
        f"{source}: CoNLL-U without entities: MISC, the last column, holds {_list(counts)}, {_EXPECTED}; --tag-column "
        "says which name, or a column's number"
    )


def _tag(words: Words, name: str, notes: Notes) -> TaggedSentence:
    """Take the tags of a sentence's words."""
    rows = words.words()
    tags = []
    for _, cells in rows:
        if name.lstrip("-").isdigit():
            number = int(name)
            tags.append(cells[number - 1 if number > 0 else number])
            continue
        tag = _misc(cells).get(name)
        notes.count(f"{{n}} words without {name}= in MISC count as O", tag is None)
        tags.append("O" if tag is None else tag)
    tokens = tuple(cells[_FORM] for _, cells in rows)
    return TaggedSentence(tokens, tuple(tags), words.document, words.source, lines=tuple(line for line, _ in rows))


def _has_brackets(sentences: list[Words], name: str) -> bool:
    return any("(" in _misc(cells).get(name, "") for words in sentences for _, cells in words.rows)


def _from_brackets(words: Words, name: str, index: int, notes: Notes) -> Sentence:
    brackets = []
    at = 0
    for line, cells in words.rows:
        is_word = "." not in cells[0]
        brackets.append(Bracket(f"{words.source}:{line}", at, at + is_word, _misc(cells).get(name, "")))
        at += is_word
    spans = read_brackets(brackets, index, notes)
    return flatten(tuple(cells[_FORM] for _, cells in words.words()), spans, notes)


def _join(words: Words, sentence: Sentence, notes: Notes) -> Sentence:
    """Make tokens of the text of words."""
    if not words.tokens:
        return sentence
    tokens: list[str] = []
    at: list[int] = []
    for i, word in enumerate(sentence.tokens):
        inside = next((first for first, (n, _) in words.tokens.items() if first <= i < first + n), None)
        if inside is None or inside == i:
            tokens.append(word if inside is None else words.tokens[i][1])
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
