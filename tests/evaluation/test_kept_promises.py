"""Whether promises hold on a corpus: what counts, and what is called broken."""

from collections.abc import Sequence
from typing import Any

import pytest
import spacy
from spacy.language import Language

from spacy_bert_ner.evaluation.bootstrap import Resampling
from spacy_bert_ner.evaluation.document_records import Judged, RawRecord, TokenRecord, judge_raw_text
from spacy_bert_ner.evaluation.kept_promises import describe_promises
from spacy_bert_ner.ner.promise import Measure, Promise
from spacy_bert_ner.report.advice import advise
from spacy_bert_ner.tags import Entity

HOW = Resampling(resamples=200)
ANN, ROME, BANK = Entity(0, 2, "PER"), Entity(3, 4, "LOC"), Entity(5, 8, "ORG")


def pipeline(measure: Measure, promised: dict[str, float], *, by_type: bool = True) -> Language:
    nlp = spacy.blank("en")
    component: Any = nlp.add_pipe("bert_ner")
    component.cfg["labels"] = ["LOC", "ORG", "PER"]
    promise = Promise(measure, 0.9, 0.95, by_type, promised, dict.fromkeys(promised, 0.5))
    component.cfg["promise"] = promise.to_state()
    return nlp


def shares(nlp: Language, records: Sequence[Judged], **rename: str) -> dict[str, tuple[float | None, int, str]]:
    (found,) = describe_promises(nlp, records, None, rename, HOW)
    rows = {name: row["gold_tokens"] for name, row in found["rows"].items()}
    return {name: (row["share"], row["entities"], row["verdict"]) for name, row in rows.items()}


def test_a_precision_counts_what_is_found_of_its_labels() -> None:
    records = [TokenRecord([ANN, ROME], [ANN, ROME]), TokenRecord([ANN], [Entity(0, 1, "PER"), BANK])] * 20
    nlp = pipeline("precision", {"PER": 0.9, "LOC": 1.0})
    assert shares(nlp, records) == {"PER": (0.5, 40, "broken"), "LOC": (1.0, 20, "held")}
    whole = shares(pipeline("precision", {"PER": 0.9, "LOC": 0.9}, by_type=False), records)
    assert whole["all"][:2] == (pytest.approx(2 / 3), 60)
    named = [TokenRecord([Entity(0, 2, "person")], [Entity(0, 2, "person")])]
    assert shares(nlp, named, PER="person") == {"person": (1.0, 1, "held"), "LOC": (None, 0, "nothing to judge")}


@pytest.mark.parametrize(
    ("found", "ignored", "covered"),
    [
        ([ANN], [], 1.0),
        # In pieces, as another type, by something longer, or by what touches text that is not annotated.
        ([Entity(0, 1, "PER"), Entity(1, 2, "LOC")], [], 1.0),
        ([Entity(0, 4, "LOC")], [], 1.0),
        ([], [ANN], 1.0),
        # A word is left, or the type is not among the promise's.
        ([Entity(0, 1, "PER")], [], 0.0),
        ([Entity(0, 2, "ORG")], [], 0.0),
        ([], [], 0.0),
    ],
)
def test_a_recall_counts_what_is_covered(found: list[Entity], ignored: list[Entity], covered: float) -> None:
    record = TokenRecord([ANN, BANK], found, ignored)
    assert shares(pipeline("recall", {"PER": 0.9, "LOC": 0.9}), [record])["PER"][:2] == (covered, 1)


def test_white_space_in_a_raw_text_needs_no_cover() -> None:
    nlp = spacy.blank("en")
    reference, predicted = nlp.make_doc("Ann  Lee sang"), nlp.make_doc("Ann  Lee sang")
    reference.set_ents([reference.char_span(0, 8, "PER")])
    predicted.set_ents([predicted.char_span(0, 3, "PER"), predicted.char_span(5, 8, "PER")])
    record = judge_raw_text(reference, predicted, [], None, {})
    assert isinstance(record, RawRecord)
    assert record.blank == {3, 4}
    assert shares(pipeline("recall", {"PER": 0.9}), [record])["PER"] == (1.0, 1, "held")


def test_below_what_was_promised_is_broken_only_where_chance_does_not_explain_it() -> None:
    right, wrong = TokenRecord([ANN], [ANN]), TokenRecord([ANN], [Entity(0, 1, "PER")])
    nlp = pipeline("precision", {"PER": 0.95})
    assert shares(nlp, [right] * 94 + [wrong] * 6)["PER"][2] == "below, by chance or not"
    assert shares(nlp, [right] * 80 + [wrong] * 20)["PER"][2] == "broken"
    assert shares(nlp, [wrong])["PER"][2] == "below, by chance or not"


def test_a_pipeline_without_a_promise_or_that_does_not_keep_it() -> None:
    nlp = pipeline("precision", {"PER": 0.9})
    assert len(describe_promises(nlp, [], [], {}, HOW)) == 1
    off = spacy.blank("en")
    component: Any = off.add_pipe("bert_ner", config={"keep_promise": False})
    component.cfg |= {"labels": ["PER"], "promise": Promise("precision", 0.9, 0.9, True, {}, {}).to_state()}
    assert describe_promises(off, [], [], {}, HOW) == []
    assert describe_promises(spacy.blank("en"), [], [], {}, HOW) == []


def test_the_report_s_advice_names_what_does_not_hold() -> None:
    nlp = pipeline("precision", {"PER": 0.9, "LOC": 0.9})
    records = [TokenRecord([ANN, ROME], [Entity(0, 1, "PER"), ROME])] * 30
    (promise,) = describe_promises(nlp, records, records, {}, HOW)
    metrics: Any = {
        "f1": 0.5,
        "errors": {"kinds": []},
        "slices": [],
        "counts": {"gold": 60},
        "raw_text": None,
        "scores": None,
        "promises": [promise],
    }
    found = advise(metrics)
    assert found == [
        "Promised precision of PER: 90.00 per cent, found 0.00 of 30 entities: broken.",
        "Promised precision of PER on raw text: 90.00 per cent, found 0.00 of 30 entities: broken.",
    ]
