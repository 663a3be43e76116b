"""Gold corpora and pipelines whose predictions are known, for the tests of evaluation and report."""

from collections.abc import Callable, Sequence
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span, SpanGroup

from spacy_bert_ner.tags import Entity

# Words, gold entities, predicted entities, their scores.
Case = tuple[str, list[Entity], list[Entity], list[float]]

# Every verdict once, besides three right ones.
EVERY_VERDICT: list[Case] = [
    (
        "Peter Blackburn saw Brussels , the European Commission and Bonn on Friday .",
        [Entity(0, 2, "PER"), Entity(3, 4, "LOC"), Entity(5, 8, "ORG"), Entity(9, 10, "LOC")],
        [Entity(0, 2, "PER"), Entity(3, 4, "ORG"), Entity(6, 8, "ORG"), Entity(11, 12, "MISC")],
        [0.99, 0.95, 0.8, 0.3],
    ),
    (
        "GERMAN NEWS FROM BONN . The German Chancellor left Bonn .",
        [Entity(0, 1, "MISC"), Entity(3, 4, "LOC"), Entity(6, 7, "MISC"), Entity(9, 10, "LOC")],
        [Entity(0, 2, "ORG"), Entity(3, 4, "LOC"), Entity(9, 10, "LOC")],
        [0.6, 0.9, 0.97],
    ),
]


def make_doc(nlp: Language, words: str, entities: Sequence[Entity], *, sentences: bool = True) -> Doc:
    """Make a gold document whose spaces are unknown, as corpora of column files have it."""
    tokens = words.split(" ")
    starts = [i == 0 or tokens[i - 1] == "." for i in range(len(tokens))] if sentences else None
    doc = Doc(nlp.vocab, words=tokens, sent_starts=starts)
    doc.set_ents([Span(doc, *entity) for entity in entities], default="outside")
    return doc


def write_corpus(path: Path, docs: Sequence[Doc]) -> Path:
    """Write gold documents. RETURNS: The path."""
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


@Language.factory("told", default_config={"found": {}, "spans_key": None})
def make_told(nlp: Language, name: str, found: dict, spans_key: str | None) -> Callable[[Doc], Doc]:
    """Make a component that finds what it was told to, by the text of the document, on whatever tokens it gets."""

    def run(doc: Doc) -> Doc:
        entities, scores = found.get("".join(token.text for token in doc), ([], []))
        spans = [Span(doc, *entity) for entity in entities]
        doc.set_ents(spans, default="outside")
        if spans_key:
            doc.spans[spans_key] = SpanGroup(doc, spans=spans, attrs={"scores": scores})
        return doc

    return run


def make_pipeline(cases: Sequence[Case], *, spans_key: str | None = "bert_ner") -> Language:
    """Make a pipeline that splits at blanks and finds what the cases say."""
    nlp = spacy.blank("en")
    found = {words.replace(" ", ""): [[list(ent) for ent in entities], scores] for words, _, entities, scores in cases}
    nlp.add_pipe("told", config={"found": found, "spans_key": spans_key})
    return nlp


def make_case(tmp_path: Path, cases: Sequence[Case], **settings: str | None) -> tuple[Language, Path]:
    """Make a pipeline and its gold corpus."""
    nlp = make_pipeline(cases, **settings)
    docs = [make_doc(nlp, words, gold) for words, gold, _, _ in cases]
    return nlp, write_corpus(tmp_path / "gold.spacy", docs)
