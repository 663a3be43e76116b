"""A pipeline's entities on a gold corpus: their scores at every temperature, and which of them are right."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import minibatch
from tqdm import tqdm

from ..batch import DecodedBatch
from ..component import BertNER
from .fitting import ScoreTable


@dataclass(frozen=True, eq=False)
class JudgedEntities:
    """What calibration is fitted on.

    table (ScoreTable): The entities' scores at many temperatures.
    right (ndarray): Is there a gold entity with exactly this span and label? (entities,)
    label (ndarray): Index of the label. (entities,)
    document (ndarray): Index of the document. (entities,)
    text (list[str]): The entities' texts. (entities,)
    """

    table: ScoreTable
    right: npt.NDArray[np.bool_]
    label: npt.NDArray[np.int64]
    document: npt.NDArray[np.int64]
    text: list[str]


def judge_entities(nlp: Language, name: str, examples: Iterable[Example]) -> JudgedEntities:
    """Predict the entities of a gold corpus and tabulate their scores.

    nlp (Language): The pipeline.
    name (str): Its `bert_ner` component.
    examples (Iterable[Example]): Gold documents with entity annotation, their predicted side not yet processed.
    RETURNS (JudgedEntities): The entities, in the order of the documents.
    """
    component: BertNER = nlp.get_pipe(name)  # type: ignore[assignment]
    examples = list(examples)
    # What comes after the component, a doc_cleaner for one, must not run before the component does.
    later = nlp.pipe_names[nlp.pipe_names.index(name) :]
    tables, right, label, document, text = [], [], [], [], []
    stream = zip(examples, nlp.pipe([eg.predicted for eg in examples], disable=later), strict=True)
    done = 0
    for pairs in minibatch(tqdm(stream, "judge", len(examples), unit=" docs", disable=None), nlp.batch_size):
        docs = [doc for _, doc in pairs]
        if any(len(doc) for doc in docs):
            batch = component.decode(docs)
            tables.append(ScoreTable.of(lambda temperature, batch=batch: batch.judge(temperature).score))  # type: ignore[misc]
            gold = [_gold(eg, component) for eg, _ in pairs]
            for i, start, end, label_index in _entities(batch):
                right.append((start, end, label_index) in gold[i])
                label.append(label_index)
                document.append(done + i)
                text.append(docs[i][start:end].text)
        done += len(docs)
        for doc in docs:
            # The encoder's activations; nothing below needs them, and a corpus of them is large.
            if Doc.has_extension("trf_data"):
                doc._.trf_data = None
    return JudgedEntities(
        ScoreTable(tables[0].temperatures, np.concatenate([table.scores for table in tables], axis=1)),
        np.array(right, dtype=bool),
        np.array(label, dtype=np.int64),
        np.array(document, dtype=np.int64),
        text,
    )


def entity_texts(docs: Iterable[Doc]) -> set[str]:
    """RETURNS (set[str]): The texts of all entities of gold documents."""
    return {ent.text for doc in docs for ent in doc.ents}


def _entities(batch: DecodedBatch) -> Iterator[tuple[int, int, int, int]]:
    return zip(*(map(int, field) for field in (batch.doc, batch.start, batch.end, batch.spans.label)), strict=True)


def _gold(example: Example, component: BertNER) -> set[tuple[int, int, int]]:
    """Align a document's gold entities with its predicted tokens. RETURNS: start, end, index of the label."""
    index = {label: i for i, label in enumerate(component.labels)}
    aligned = example.get_aligned_spans_y2x(example.reference.ents)
    return {(ent.start, ent.end, index.get(ent.label_, -1)) for ent in aligned}
