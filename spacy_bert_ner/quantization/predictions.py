"""What a component predicts, as logits and as entities, to be compared before and after."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import cast

import numpy as np
from spacy.language import Language
from spacy.training import Example

from spacy_bert_ner.arrays import Floats
from spacy_bert_ner.calibration import calibration_error
from spacy_bert_ner.calibration.entities import decode_examples
from spacy_bert_ner.ner.component import BertNER

# An entity: its document's number, first token, end, label.
EntityPlace = tuple[int, int, int, str]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a component predicts for a corpus.

    log_probabilities (Floats): Of each token's tags. (tokens, tags)
    confidences (dict[EntityPlace, float]): Of the entities of the best legal tags.
    """

    log_probabilities: Floats
    confidences: dict[EntityPlace, float]

    def f1(self, gold: Set[EntityPlace]) -> float:
        """RETURNS (float): F1 against other entities, in per cent; 100 where there are none of either."""
        found = self.confidences.keys()
        return 200 * len(found & gold) / (len(found) + len(gold)) if found or gold else 100.0

    def calibration_error(self, gold: Set[EntityPlace]) -> float | None:
        """RETURNS (float | None): The expected calibration error of the confidences; None without entities."""
        right = np.array([place in gold for place in self.confidences], dtype=bool)
        return calibration_error(np.array([*self.confidences.values()]), right)

    def divergence_from(self, other: "Predictions") -> float:
        """RETURNS (float): The mean divergence of a token's tags from what others say of them, in nats, 0 or more.

        Source: Kullback & Leibler 1951.
        """
        theirs = other.log_probabilities
        return float((np.exp(theirs) * (theirs - self.log_probabilities)).sum(1).mean()) if len(theirs) else 0.0


def predict_tags(nlp: Language, name: str, examples: Sequence[Example]) -> Predictions:
    """Predict a corpus.

    nlp (Language): The pipeline.
    name (str): Its `bert_ner` component.
    examples (Sequence[Example]): The documents, each with a token at least.
    RETURNS (Predictions): What it finds.
    """
    rows: list[Floats] = []
    confidences: dict[EntityPlace, float] = {}
    cfg = cast(BertNER, nlp.get_pipe(name)).cfg
    done = 0
    for batch, decoded in decode_examples(nlp, name, examples):
        logits = decoded.logits.astype(np.float64)
        logits -= logits.max(1, keepdims=True)
        rows.append(logits - np.log(np.exp(logits).sum(1, keepdims=True)))
        labels = [decoded.lattice.labels[i] for i in decoded.spans.label.tolist()]
        numbers = (decoded.doc + done).tolist()
        places = zip(numbers, decoded.start.tolist(), decoded.end.tolist(), labels, strict=True)
        judged = decoded.judge(cfg["temperature"], cfg["offsets"]).posterior.tolist()
        confidences |= dict(zip(places, judged, strict=True))
        done += len(batch)
    return Predictions(np.concatenate(rows) if rows else np.zeros((0, 1)), confidences)


def gold_entities(examples: Sequence[Example]) -> set[EntityPlace]:
    """RETURNS (set[EntityPlace]): The entities of gold documents, in the tokens of the predicted ones."""
    return {
        (i, ent.start, ent.end, ent.label_)
        for i, example in enumerate(examples)
        for ent in example.get_aligned_spans_y2x(example.reference.ents)
    }
