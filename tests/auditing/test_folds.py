"""Folds: what repeats each other stays together, all is held out once, the parts are of about one size."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_bert_ner.auditing.audit_error import AuditError
from spacy_bert_ner.auditing.fold_run import make_folds
from spacy_bert_ner.auditing.folds import FORMULA, assign_folds, group_repeated

LONG = [f"word{i}" for i in range(40)]
FORMULA_WORDS = ["this", "is", "no", "offer", "to", "buy", "or", "sell"]


@pytest.mark.parametrize(
    ("left", "right", "together"),
    [
        (LONG, LONG, True),
        (["a", "b"], ["a", "b"], True),
        (["a", "b"], ["a", "B"], False),
        ([], [], True),
        (LONG, LONG[:30], True),
        (LONG, [*LONG[:28], *(f"other{i}" for i in range(12))], True),
        (LONG, [*LONG[:12], *(f"other{i}" for i in range(28))], False),
        (LONG, [word.upper() for word in LONG], False),
    ],
)
def test_what_repeats_each_other(left: list[str], right: list[str], together: bool) -> None:
    groups = group_repeated([left, ["something", "else"], right])
    assert groups == [0, 1, 0 if together else 2]


def test_repetition_is_passed_on() -> None:
    chain = [[f"w{k}" for k in range(i * 10, i * 10 + 40)] for i in range(4)]
    assert group_repeated(chain) == [0, 0, 0, 0]


@pytest.mark.parametrize("length", [0, 1, 7, 8, 40])
def test_equal_documents_stay_together_however_many(length: int) -> None:
    copies = [LONG[:length]] * (FORMULA + 5)
    assert group_repeated([["other"], *copies]) == [0] + [1] * len(copies)


def test_copies_of_a_document_do_not_make_a_formula_of_it() -> None:
    copies = [LONG] * FORMULA
    assert group_repeated([*copies, LONG[:30]]) == [0] * (FORMULA + 1)


def test_a_formula_that_many_documents_end_with_joins_none() -> None:
    documents = [[f"d{i}", f"e{i}", *FORMULA_WORDS] for i in range(FORMULA + 1)]
    assert group_repeated(documents) == list(range(FORMULA + 1))


documents = st.lists(st.lists(st.sampled_from("abc"), max_size=12), min_size=1, max_size=40)


@given(documents, st.integers(2, 6))
def test_every_document_is_held_out_once(documents: list[list[str]], folds: int) -> None:
    groups = group_repeated(documents)
    if len(set(groups)) < folds:
        with pytest.raises(AuditError, match=f"--folds {folds}"):
            assign_folds(documents, folds)
        return
    assigned = assign_folds(documents, folds)
    assert assigned == assign_folds(documents, folds)
    assert len({(group, fold) for group, fold in zip(groups, assigned, strict=True)}) == len(set(groups))
    made = make_folds(assigned)
    assert [fold.number for fold in made] == list(range(1, folds + 1))
    assert sorted(i for fold in made for i in fold.held_out) == list(range(len(documents)))
    for fold in made:
        assert fold.held_out
        assert sorted((*fold.held_out, *fold.training)) == list(range(len(documents)))


def test_folds_are_of_one_size_and_drawn() -> None:
    rng = random.Random(0)
    documents = [[f"{i}-{k}" for k in range(rng.randint(5, 300))] for i in range(200)]
    assigned = assign_folds(documents, 5)
    words = Counter[int]()
    for fold, own in zip(assigned, documents, strict=True):
        words[fold] += len(own)
    assert max(words.values()) - min(words.values()) <= 300
    # Not one after the other: neighbours are of the same day.
    assert len(set(assigned[:20])) > 1
