"""CoNLL-U (universaldependencies.org/format.html): ten columns, the tag under a name in the last.

    5   Oslo   Oslo   PROPN   _   _   3   obl   _   SpaceAfter=No|name=B-LOC     name=, NE= and others: a tag a token
    5   Oslo   Oslo   PROPN   _   _   3   obl   _   Entity=(e3-place)            CorefUD's brackets: brackets.py

A row 3-4 is a multiword token, followed by its words 3 and 4: it becomes the token, and they do not. A row 5.1 is an
empty node, which is not in the text: it is left out.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from spacy_bert_ner.data.documents import CorpusError, Sentence
from spacy_bert_ner.data.notes import Notes
from spacy_bert_ner.data.overlaps import flatten
from spacy_bert_ner.data.reading_options import ReadingOptions
from spacy_bert_ner.data.sentences import TaggedSentence
from spacy_bert_ner.data.spelling import assess
from spacy_bert_ner.data.tagged import make_sentences

from .brackets import BRACKETS, Bracket, label_index, read_brackets
from .lines import Lines
from .multiword import FORM, MISC, NOTHING, Range, Words, doubt, is_number, join, merge, read_misc, read_tag

_ID = re.compile(r"(\d+)(?:-(\d+)|(\.\d+))?")
_WIDTH = 10
_EXPECTED = "expected name=B-PER, NE=B-PER or the like, or Entity=(…) as CorefUD has it"


def is_conllu(lines: Lines) -> bool:
    """RETURNS (bool): Whether lines are CoNLL-U: ten cells between tabs, of which the first is an id."""
    rows = [line.split("\t") for block in lines.blocks[:20] for _, line in block.lines]
    return bool(rows) and all(len(cells) == _WIDTH and _ID.fullmatch(cells[0]) for cells in rows)


def read_conllu(lines: Lines, source: str, options: ReadingOptions, notes: Notes) -> list[tuple[Sentence, str | None]]:
    """Read CoNLL-U.

    source (str): The file's name, for messages.
    options (ReadingOptions): `tag_column` is a name in MISC, or a column's number.
    notes (Notes): Receives where the tags were found, and what could not be read.
    RETURNS (list[tuple[Sentence, str | None]]): Sentences and the ids of their documents.
    RAISES: CorpusError where no column or name, or several, can be the tags.
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
        merged = list(merge(sentences, name, notes))
        sentences = [words for words, _ in merged]
        tagged = [_tag(words, name, notes) for words in sentences]
        read = make_sentences(tagged, options, notes, chosen=bool(options.tag_column))
        read = [doubt(sentence, doubtful) for sentence, (_, doubtful) in zip(read, merged, strict=True)]
    joined = [join(words, sentence, notes) for words, sentence in zip(sentences, read, strict=True)]
    return [(sentence, words.document) for words, sentence in zip(sentences, joined, strict=True)]


def _said(name: str, sentences: list[Words], source: str) -> str:
    """Check the user's choice. RAISES: CorpusError where MISC has no such name, or there is no such column."""
    if is_number(name):
        if not 1 <= abs(int(name)) <= _WIDTH:
            raise CorpusError(f"{source}: --tag-column {name}, but CoNLL-U has {_WIDTH} columns")
        return name
    names = {key for words in sentences for cells in words.cells() for key in read_misc(cells)}
    if name and name not in names:
        raise CorpusError(
            f"{source}: --tag-column {name}, expected a column's number or one of MISC's names: {_list(names)}"
        )
    return name


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _call(name: str) -> str:
    return f"column {name}" if is_number(name) else f"{name}= of MISC"


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
        if match[2] and int(match[2]) < int(match[1]):
            raise CorpusError(
                f"{source}:{number}: the token {cells[0]} ends before it begins, expected 3-4 or the like"
            )
        if match[2]:
            words.ranges[count] = Range(int(match[2]) - int(match[1]) + 1, number, cells)
            continue
        count += match[3] is None
        notes.count("{n} empty words (5.1) were left out, which the text does not have", match[3] is not None)
        words.rows.append((number, cells))
    return words


def _find_name(sentences: list[Words], source: str, notes: Notes) -> str:
    """Find the name of the tags in MISC, or MISC's column number where it holds only the tags."""
    counts: dict[str, Counter[str]] = {}
    for words in sentences:
        for cells in words.cells():
            for key, value in read_misc(cells).items():
                counts.setdefault(key, Counter())[value] += 1
    found = [key for key, values in counts.items() if (tags := assess(values, ReadingOptions())) and tags.share == 1]
    with_entities = [key for key in found if (tags := assess(counts[key], ReadingOptions())) and tags.labels]
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
    merged = (words for words, _ in merge(sentences, str(_WIDTH), Notes()))
    last = assess(Counter(cells[MISC] for words in merged for _, cells in words.words()), ReadingOptions())
    if last and last.labels and last.share == 1:
        return str(_WIDTH)
    raise CorpusError(
        f"{source}: CoNLL-U without entities: MISC, the last column, holds {_list(counts)}, {_EXPECTED}; --tag-column "
        "says which name, or a column's number"
    )


def _tag(words: Words, name: str, notes: Notes) -> TaggedSentence:
    """Read the tags of a sentence's words."""
    rows = words.words()
    tags = []
    for _, cells in rows:
        tag = read_tag(cells, name)
        if is_number(name):
            tags.append(NOTHING if tag is None else tag)
            continue
        notes.count(f"{{n}} words without {name}= in MISC count as O", tag is None)
        tags.append("O" if tag is None else tag)
    tokens = tuple(cells[FORM] for _, cells in rows)
    return TaggedSentence(tokens, tuple(tags), words.document, words.source, lines=tuple(line for line, _ in rows))


def _has_brackets(sentences: list[Words], name: str) -> bool:
    return any("(" in read_misc(cells).get(name, "") for words in sentences for cells in words.cells())


def _from_brackets(words: Words, name: str, index: int, notes: Notes) -> Sentence:
    brackets = []
    at = 0
    for line, cells in words.rows:
        is_word = "." not in cells[0]
        if is_word and (whole := words.ranges.get(at)):
            place = f"{words.source}:{whole.line}"
            brackets.append(Bracket(place, at, at + whole.n, read_misc(whole.cells).get(name, "")))
        brackets.append(Bracket(f"{words.source}:{line}", at, at + is_word, read_misc(cells).get(name, "")))
        at += is_word
    spans = read_brackets(brackets, index, notes)
    return flatten(tuple(cells[FORM] for _, cells in words.words()), spans, notes)
