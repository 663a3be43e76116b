"""A pipeline's entities on a gold corpus: their scores at every temperature, and which of them are right."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import minibatch
from tqdm import tqdm

from spacy_bert_ner.arrays import Array, Bools, Ints
from spacy_bert_ner.ner.annotations import trim_whitespace
from spacy_bert_ner.ner.component import BertNER
from spacy_bert_ner.ner.decoded import DecodedBatch
from spacy_bert_ner.rawtext.changed_text import locate_in
from spacy_bert_ner.rawtext.retokenizing import is_raw
from spacy_bert_ner.rawtext.scorer import unannotated_characters
from spacy_bert_ner.tags import Entity

from .fitting import TEMPERATURES, ScoreTable

# A batch of a gold corpus, and what the best tags make of it.
Decoded = tuple[list[Example], DecodedBatch]


@dataclass(frozen=True, eq=False)
class JudgedEntities:
    """The entities that calibration is fitted on.

    table (ScoreTable): The entities' scores at many temperatures.
    right (ndarray): Is there a gold entity with exactly this span and label? (entities,)
    label (ndarray): Index of the label. (entities,)
    document (ndarray): Index of the document, the same in both of its forms. (entities,)
    text (list[str]): The entities' texts. (entities,)
    raw (ndarray): Was it found in raw text, in a document's second form? (entities,)
    """

    table: ScoreTable
    right: Bools
    label: Ints
    document: Ints
    text: list[str]
    raw: Bools


def judge_entities(nlp: Language, name: str, examples: Iterable[Example]) -> JudgedEntities:
    """Predict the entities of a gold corpus and tabulate their scores.

    nlp (Language): The pipeline.
    name (str): Its `bert_ner` component.
    examples (Iterable[Example]): Gold documents with entity annotation, in one form or in both (see
        rawtext.retokenizing.both_forms), their predicted side not yet processed.
    RETURNS (JudgedEntities): The entities, in the order of the documents, without those that touch text which is not
        annotated: they are neither right nor wrong.
    """
    return tabulate_entities(decode_examples(nlp, name, examples))


def decode_examples(nlp: Language, name: str, examples: Iterable[Example]) -> Iterator[Decoded]:
    """Decode a gold corpus, in one pass of the network.

    nlp, name, examples: As in `judge_entities`; documents without a token are left out.
    RETURNS (Iterator[Decoded]): Batches of `nlp.batch_size` documents.
    """
    component: BertNER = nlp.get_pipe(name)  # type: ignore[assignment]
    examples = [eg for eg in examples if len(eg.predicted)]
    # Components after it, such as a doc_cleaner, must not run before it.
    later = nlp.pipe_names[nlp.pipe_names.index(name) :]
    stream = zip(examples, nlp.pipe([eg.predicted for eg in examples], disable=later), strict=True)
    for pairs in minibatch(tqdm(stream, "judge", len(examples), unit=" docs", disable=None), nlp.batch_size):
        docs = [doc for _, doc in pairs]
        batch = component.decode(docs)
        for doc in docs:
            # The encoder's activations are not needed below, and those of a corpus are large.
            if Doc.has_extension("trf_data"):
                doc._.trf_data = None
        yield [eg for eg, _ in pairs], batch


def tabulate_entities(decoded: Iterable[Decoded]) -> JudgedEntities:
    """Tabulate the scores of decoded entities. decoded: See decode_examples. RETURNS (JudgedEntities): The entities."""
    tables, right, label, document, raw = [np.zeros((len(TEMPERATURES), 0))], [], [], [], []
    text: list[str] = []
    last = -1
    for examples, batch in decoded:
        scores = ScoreTable.of(lambda temperature, batch=batch: batch.judge(temperature).posterior).scores  # type: ignore[misc]
        numbers, forms = number_forms(examples, last)
        last = int(numbers[-1])
        known, is_right = judge_batch(examples, batch)
        tables.append(scores[:, known])
        right.append(is_right[known])
        label.append(batch.spans.label[known])
        document.append(numbers[batch.doc[known]])
        raw.append(forms[batch.doc[known]])
        text += [examples[i].predicted[start:end].text.strip() for i, start, end, _ in _entities(batch, known)]
    none = [np.zeros(0, dtype=bool)]
    return JudgedEntities(
        ScoreTable(TEMPERATURES, np.concatenate(tables, axis=1)),
        np.concatenate(none + right),
        np.concatenate(none + label).astype(np.int64),
        np.concatenate(none + document).astype(np.int64),
        text,
        np.concatenate(none + raw),
    )


def judge_batch(examples: Sequence[Example], batch: DecodedBatch) -> tuple[Bools, Bools]:
    """Compare the entities of a batch with the gold ones, as they are put out: without white space at their ends.

    RETURNS (tuple[Bools, Bools]): Is it put out at all, and all text that it touches annotated? Is there a gold entity
        with exactly this span and label? (entities,) each
    """
    gold = [_gold(eg, batch.lattice.labels) for eg in examples]
    unknown = [unannotated_characters(eg.reference) for eg in examples]
    locate = [locate_in(eg.reference.text, eg.predicted.text) for eg in examples]
    known, right = [], []
    for i, first_token, last_token, label in _entities(batch):
        start, end, _ = trim_whitespace(examples[i].predicted, Entity(first_token, last_token, ""))
        span = examples[i].predicted[start:end]
        first, last = locate[i](span.start_char, span.end_char)
        known.append(start < end and not unknown[i][first:last].any())
        right.append((start, end, label) in gold[i])
    return np.array(known, dtype=bool), np.array(right, dtype=bool)


def number_forms(examples: Sequence[Example], last: int) -> tuple[Ints, Bools]:
    """Number the documents of a batch.

    last (int): Number of the document before it; -1 for none.
    RETURNS (tuple[Ints, Bools]): The number of each example's document, and whether it is raw text, its second form,
        which follows its first. (examples,) each
    """
    forms = np.array([is_raw(eg) for eg in examples], dtype=bool)
    return last + np.cumsum(~forms), forms


def entity_texts(docs: Iterable[Doc]) -> set[str]:
    """RETURNS (set[str]): The texts of all entities of gold documents."""
    return {ent.text for doc in docs for ent in doc.ents}


def _entities(batch: DecodedBatch, chosen: Array | slice = slice(None)) -> Iterator[tuple[int, int, int, int]]:
    fields = (batch.doc, batch.start, batch.end, batch.spans.label)
    return zip(*(field[chosen].tolist() for field in fields), strict=True)


def _gold(example: Example, labels: Sequence[str]) -> set[tuple[int, int, int]]:
    """Align a document's gold entities with its predicted tokens. RETURNS: start, end, index of the label."""
    index = {label: i for i, label in enumerate(labels)}
    aligned = example.get_aligned_spans_y2x(example.reference.ents)
    return {(ent.start, ent.end, index.get(ent.label_, -1)) for ent in aligned}
