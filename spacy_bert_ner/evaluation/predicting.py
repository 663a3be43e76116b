"""Running a pipeline over a gold corpus, on gold tokens and on raw text."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Corpus, Example
from spacy.training.corpus import FILE_TYPE, walk_corpus
from spacy.vocab import Vocab
from tqdm import tqdm

from spacy_bert_ner.rawtext.spaces import raw_text

from .document_records import Judged, RawRecord, TokenRecord, judge_raw_text, make_record

R = TypeVar("R", bound=Judged)
NO_RENAMING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Predicted(Generic[R]):
    """What a pipeline found in a corpus.

    records (list[R]): One per document.
    examples (list[Example]): The same for spaCy's scorer, without anything but entities.
    words (int): Tokens predicted on.
    seconds (float): Time that the pipeline took.
    labels (set[str]): The labels that it predicted, as it names them.
    """

    records: list[R]
    examples: list[Example]
    words: int
    seconds: float
    labels: set[str]


def read_gold(corpus: Path, vocab: Vocab, rename: Mapping[str, str]) -> tuple[list[Doc], set[str]]:
    """Read gold documents; those without a token are left out.

    corpus (Path): The corpus, `.spacy`.
    vocab (Vocab): The pipeline's vocabulary.
    rename (Mapping[str, str]): Labels to other labels.
    RETURNS (tuple[list[Doc], set[str]]): The documents, and the labels that the corpus itself has.
    """
    docs = list(Corpus(corpus).read_docbin(vocab, walk_corpus(corpus, FILE_TYPE)))
    labels = {ent.label_ for doc in docs for ent in doc.ents}
    for doc in docs if rename else ():
        doc.set_ents(_renamed(doc, doc, rename), default="unmodified")
    return docs, labels


def predict_on_gold_tokens(
    nlp: Language,
    gold: Sequence[Doc],
    *,
    spans_key: str | None = None,
    rename: Mapping[str, str] = NO_RENAMING,
    progress: bool = False,
) -> Predicted[TokenRecord]:
    """Let a pipeline find entities, its tokenizer replaced by the gold tokens; gold sentence starts are withheld.

    nlp (Language): The pipeline.
    gold (Sequence[Doc]): Gold documents.
    spans_key (str | None): The SpanGroup with scores; None for any that has them.
    rename (Mapping[str, str]): Predicted labels to other labels.
    progress (bool): Whether to show a progress bar.
    RETURNS (Predicted[TokenRecord]): What it found.
    """
    docs = (Doc(nlp.vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc]) for doc in gold)
    stream = _Stopwatch(nlp.pipe(docs), len(gold), "gold tokens", progress)
    records, examples, labels = [], [], set()
    for reference, predicted in zip(gold, stream, strict=True):
        labels |= {ent.label_ for ent in predicted.ents}
        records.append(make_record(reference, predicted, spans_key, rename))
        examples.append(Example(_entities_only(predicted, rename), reference))
    return Predicted(records, examples, sum(map(len, gold)), stream.seconds, labels)


def predict_on_raw_text(
    nlp: Language,
    gold: Sequence[Doc],
    *,
    spans_key: str | None = None,
    rename: Mapping[str, str] = NO_RENAMING,
    progress: bool = False,
) -> Predicted[RawRecord]:
    """Let a pipeline find entities in the documents' raw texts: its own tokens, nothing gold.

    nlp, gold, spans_key, rename, progress: As in `predict_on_gold_tokens`.
    RETURNS (Predicted[RawRecord]): What it found, in characters.
    """
    # The tokenizer itself, since nlp.make_doc refuses long texts.
    docs = (nlp.tokenizer(raw_text(doc)) for doc in gold)
    with_tokens = ((doc, [(token.idx, token.idx + len(token)) for token in doc]) for doc in docs)
    stream = _Stopwatch(nlp.pipe(with_tokens, as_tuples=True), len(gold), "raw text", progress)
    records, examples, words, labels = [], [], 0, set()
    for reference, (predicted, tokens) in zip(gold, stream, strict=True):
        labels |= {ent.label_ for ent in predicted.ents}
        records.append(judge_raw_text(reference, predicted, tokens, spans_key, rename))
        examples.append(Example(_entities_only(predicted, rename), reference))
        words += len(tokens)
    return Predicted(records, examples, words, stream.seconds, labels)


class _Stopwatch:
    """A stream of documents, or of what goes with them, that sums up the time its consumer waits for it."""

    def __init__(self, docs: Iterator[Any], total: int, name: str, progress: bool) -> None:
        # disable=None shows the bar only where standard error is a terminal.
        self.docs: Any = iter(tqdm(docs, name, total, unit=" docs", disable=None if progress else True))
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        start = time.perf_counter()
        try:
            return next(self.docs)
        finally:
            self.seconds += time.perf_counter() - start


def _entities_only(doc: Doc, rename: Mapping[str, str]) -> Doc:
    """Copy tokens and entities: what else pipelines leave in a document can be a thousand times as large."""
    copy = Doc(doc.vocab, words=[token.text for token in doc], spaces=[bool(token.whitespace_) for token in doc])
    copy.set_ents(_renamed(doc, copy, rename), default="outside")
    return copy


def _renamed(doc: Doc, target: Doc, rename: Mapping[str, str]) -> list[Span]:
    """RETURNS (list[Span]): The entities of a document, as spans of another one with the same tokens."""
    return [Span(target, ent.start, ent.end, rename.get(ent.label_, ent.label_)) for ent in doc.ents]
