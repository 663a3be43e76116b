"""Calibrated posteriors of all likely spans of decoded documents, whether the best tags have them or not."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from spacy_bert_ner.arrays import Floats
from spacy_bert_ner.decoding import Spans, span_posteriors
from spacy_bert_ner.decoding.likely_spans import likely_spans

from .decoded import DecodedBatch

# Tokens of the longest spans that are looked at.
CANDIDATE_TOKENS = 12
# A span's sequence, first token, end and index of the label.
SpanKey = tuple[int, int, int, int]


def judge_likely_spans(
    batch: DecodedBatch, state: Mapping[str, Any], least: float, also: Iterable[SpanKey] = ()
) -> tuple[Spans, Floats]:
    """Compute the calibrated posteriors of all spans that are likely enough.

    batch (DecodedBatch): Decoded documents.
    state (Mapping[str, Any]): The component's `cfg`, with "temperature" and "offsets".
    least (float): The least posterior, between 0 and 1.
    also (Iterable[SpanKey]): Spans to judge however improbable and long they are.
    RETURNS (tuple[Spans, Floats]): The spans, which may overlap, sorted; and the posterior of each. (spans,)
    """
    shift = np.array([state["offsets"].get(label, 0.0) for label in batch.lattice.labels], dtype=np.float64)
    # Before the shift of the log-odds, the bound is another one for each label.
    bound = least / (least + (1 - least) * np.exp(shift))
    temperature = float(state["temperature"])
    likely = likely_spans(batch.lattice, batch.logits, batch.lengths, bound, CANDIDATE_TOKENS, temperature)
    keys = sorted({*zip(*(field.tolist() for field in likely), strict=True), *also})
    spans = Spans(*np.array(keys, dtype=np.int64).reshape(-1, 4).T)
    judged = span_posteriors(batch.lattice, batch.logits, batch.lengths, spans, temperature)
    posterior: Floats = judged.shift(shift).posterior
    return spans, posterior
