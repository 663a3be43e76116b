"""Errors to read: in their sentence, gold beside prediction."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from spacy_bert_ner.rawtext.spaces import join_words, to_characters
from spacy_bert_ner.tags import Entity

from .document_records import TokenRecord
from .error_kinds import Case

# Tokens shown at most on either side of an error.
CONTEXT = 25


@dataclass(frozen=True)
class Excerpt:
    """An error in its sentence.

    text (str): The sentence, or what of it is near the error.
    gold, found (list[Entity]): Entities in the text, in characters.
    verdict (str): The kind of error, of `errors.VERDICTS`.
    score (float | None): The prediction's score.
    times (int): How often this error, of the same string, types and kind, occurs in the corpus.
    """

    text: str
    gold: list[Entity]
    found: list[Entity]
    verdict: str
    score: float | None
    times: int


@dataclass(frozen=True)
class Confused:
    """A string that often goes wrong.

    text (str): The string: gold where there is gold.
    errors (int): How often it goes wrong.
    right (int): How often it goes right.
    kinds (list[tuple[str, str, int]]): Gold type, predicted type ("" for none) and how often, most frequent first.
    excerpt (Excerpt): One such error.
    """

    text: str
    errors: int
    right: int
    kinds: list[tuple[str, str, int]]
    excerpt: Excerpt


def confident_errors(records: Sequence[TokenRecord], cases: Iterable[Case], max_excerpts: int = 12) -> list[Excerpt]:
    """Choose the wrong predictions of the highest scores, each string and confusion once.

    records (Sequence[TokenRecord]): The documents.
    cases (Iterable[Case]): From `errors.find_cases`.
    max_excerpts (int): Maximum number of excerpts.
    RETURNS (list[Excerpt]): Highest score first; a random sample, always the same, where there are no scores.
    """
    wrong = [case for case in cases if case.found and case.verdict != "right"]
    order = np.random.default_rng(0).permutation(len(wrong))
    by_score = sorted((wrong[i] for i in order), key=lambda case: -(_score(records, case) or 0.0))
    groups: dict[tuple, list[Case]] = {}
    for case in by_score:
        groups.setdefault((_name(records, case), *_types(case), case.verdict), []).append(case)
    return [_excerpt(records, group[0], len(group)) for group in list(groups.values())[:max_excerpts]]


def confused_strings(records: Sequence[TokenRecord], cases: Iterable[Case], max_strings: int = 15) -> list[Confused]:
    """Choose the strings that go wrong most often, at least twice.

    records, cases: As in `confident_errors`.
    max_strings (int): Maximum number of strings.
    RETURNS (list[Confused]): Most errors first.
    """
    wrong: dict[str, list[Case]] = {}
    right: Counter[str] = Counter()
    for case in cases:
        if case.verdict == "right":
            right[_name(records, case)] += 1
        else:
            wrong.setdefault(_name(records, case), []).append(case)
    often = sorted((name for name in wrong if len(wrong[name]) > 1), key=lambda name: (-len(wrong[name]), name))
    return [_confused(records, name, wrong[name], right[name]) for name in often[:max_strings]]


def _confused(records: Sequence[TokenRecord], name: str, wrong: list[Case], right: int) -> Confused:
    kinds = Counter(_types(case) for case in wrong)
    usual = next(case for case in wrong if _types(case) == kinds.most_common(1)[0][0])
    return Confused(
        text=name,
        errors=len(wrong),
        right=right,
        kinds=[(*types, n) for types, n in kinds.most_common()],
        excerpt=_excerpt(records, usual, len(wrong)),
    )


@dataclass(frozen=True)
class Quote:
    """Tokens of a document as a text.

    text (str): The text.
    first (int): Its first token.
    words (list[str]): Its tokens.
    starts (list[int]): At which character each of them starts.
    """

    text: str
    first: int
    words: list[str]
    starts: list[int]

    def place(self, entities: Iterable[Entity]) -> list[Entity]:
        """RETURNS (list[Entity]): Those of a document's entities that lie in the text, in its characters."""
        last = self.first + len(self.words)
        within = [e for e in entities if self.first <= e.start and e.end <= last]
        return to_characters(
            (Entity(e.start - self.first, e.end - self.first, e.label) for e in within), self.words, self.starts
        )


def quote(record: TokenRecord, case: Case) -> Quote:
    """RETURNS (Quote): The sentence of an entity and its prediction, or what of it is near."""
    entities = [ent for ent in (case.gold, case.found) if ent]
    return quote_tokens(record, min(ent.start for ent in entities), max(ent.end for ent in entities))


def quote_tokens(record: TokenRecord, first: int, last: int) -> Quote:
    """RETURNS (Quote): The sentence of tokens `first` to `last`, the end exclusive, or what of it is near."""
    begin, finish = (0, len(record.words))
    if record.sentence_of:
        begin, finish = record.sentence_of[first][0], record.sentence_of[last - 1][1]
    start, end = max(begin, first - CONTEXT), min(finish, last + CONTEXT)
    words = record.words[start:end]
    text, starts = join_words(words, record.spaces[start:end])
    before, after = "… " if start > begin else "", " …" if end < finish else ""
    return Quote(before + text.rstrip() + after, start, words, [len(before) + at for at in starts])


def _excerpt(records: Sequence[TokenRecord], case: Case, times: int) -> Excerpt:
    record = records[case.document]
    quoted = quote(record, case)
    return Excerpt(
        text=quoted.text,
        gold=quoted.place(record.gold),
        found=quoted.place(record.found),
        verdict=case.verdict,
        score=_score(records, case),
        times=times,
    )


def _score(records: Sequence[TokenRecord], case: Case) -> float | None:
    return records[case.document].scores.get(case.found) if case.found else None


def _name(records: Sequence[TokenRecord], case: Case) -> str:
    entity = case.gold or case.found
    return records[case.document].text(entity) if entity else ""


def _types(case: Case) -> tuple[str, str]:
    return case.gold.label if case.gold else "", case.found.label if case.found else ""
