"""Every error as data, to correct a corpus or a pipeline by."""

from collections.abc import Iterable, Sequence

from spacy_bert_ner.tags import Entity

from .document_records import TokenRecord
from .error_kinds import Case
from .excerpts import Quote, quote
from .typed_figures import ListedEntity, ListedError


def list_errors(records: Sequence[TokenRecord], cases: Iterable[Case]) -> list[ListedError]:
    """List all errors in the order of the corpus.

    records (Sequence[TokenRecord]): The documents, on gold tokens.
    cases (Iterable[Case]): From `error_kinds.find_cases`.
    RETURNS (list[ListedError]): The errors.
    """
    return [_describe(records[case.document], case) for case in cases if case.verdict != "right"]


def _describe(record: TokenRecord, case: Case) -> ListedError:
    quoted = quote(record, case)
    gold = _reading(quoted, case.gold) if case.gold else None
    predicted = None
    if case.found:
        predicted = _reading(quoted, case.found)
        predicted["confidence"] = record.scores.get(case.found)
    return ListedError(document=case.document, verdict=case.verdict, text=quoted.text, gold=gold, predicted=predicted)


def _reading(quoted: Quote, entity: Entity) -> ListedEntity:
    (at,) = quoted.place([entity])
    text = quoted.text[at.start : at.end]
    tokens = [entity.start, entity.end]
    return ListedEntity(start=at.start, end=at.end, text=text, label=entity.label, tokens=tokens)
