"""Running a pipeline over a gold corpus, on gold tokens and on raw text."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Corpus, Example
from spacy.training.corpus import FILE_TYPE, walk_corpus
from spacy.vocab import Vocab
from tqdm import tqdm

from .records import Judged, RawRecord, Record, judge_raw_text, make_record, raw_text

R = TypeVar("R", bound=Judged)


@dataclass(frozen=True)
class Prediction(Generic[R]):
    """What a pipeline found in a corpus.

    records (list[R]): One per document.
    examples (list[Example]): The same for spaCy's scorer, without anything but entities.
    words (int): Tokens predicted on.
    seconds (float): Time that the pipeline took.
    """

    records: list[R]
    examples: list[Example]
    words: int
    seconds: float


def read_gold(corpus: Path, vocab: Vocab) -> list[Doc]:
    """Read gold documents; those without a token are left out. RETURNS (list[Doc]): The documents."""
    return list(Corpus(corpus).read_docbin(vocab, walk_corpus(corpus, FILE_TYPE)))


def predict_on_gold_tokens(
    nlp: Language, gold: Sequence[Doc], *, spans_key: str | None = None, progress: bool = False
) -> Prediction[Record]:
    """Let a pipeline find entities, its tokenizer replaced by the gold tokens; gold sentence starts are withheld.

    nlp (Language): The pipeline.
    gold (Sequence[Doc]): Gold documents.
    spans_key (str | None): The SpanGroup with scores; None for any that has them.
    progress (bool): Whether to show a progress bar.
    RETURNS (Prediction[Record]): What it found.
    """
    docs = (Doc(nlp.vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc]) for doc in gold)
    stream = _Stopwatch(nlp.pipe(docs), len(gold), "gold tokens", progress)
    records, examples = [], []
    for reference, predicted in zip(gold, stream, strict=True):
        records.append(make_record(reference, predicted, spans_key))
        examples.append(Example(_entities_only(predicted), reference))
    return Prediction(records, examples, sum(map(len, gold)), stream.seconds)


def predict_on_raw_text(nlp: Language, gold: Sequence[Doc], *, progress: bool = False) -> Prediction[RawRecord]:
    """Let a pipeline find entities in the documents' raw texts: its own tokens, nothing gold.

    nlp, gold, progress: As in `predict_on_gold_tokens`.
    RETURNS (Prediction[RawRecord]): What it found, in characters.
    """
    # The tokenizer itself, since nlp.make_doc refuses long texts.
    docs = (nlp.tokenizer(raw_text(doc)) for doc in gold)
    with_tokens = ((doc, [(token.idx, token.idx + len(token)) for token in doc]) for doc in docs)
    stream = _Stopwatch(nlp.pipe(with_tokens, as_tuples=True), len(gold), "raw text", progress)
    records, examples, words = [], [], 0
    for reference, (predicted, tokens) in zip(gold, stream, strict=True):
        records.append(judge_raw_text(reference, predicted, tokens))
        examples.append(Example(_entities_only(predicted), reference))
        words += len(tokens)
    return Prediction(records, examples, words, stream.seconds)


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


def _entities_only(doc: Doc) -> Doc:
    """Copy tokens and entities: what else pipelines leave in a document can be a thousand times as large."""
    copy = Doc(doc.vocab, words=[token.text for token in doc], spaces=[bool(token.whitespace_) for token in doc])
    copy.set_ents([Span(copy, ent.start, ent.end, ent.label) for ent in doc.ents], default="outside")
    return copy
