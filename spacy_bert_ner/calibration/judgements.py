"""What promises are made from: scores of predicted entities, or of gold ones, and which of them are right."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from spacy.training import Example

from spacy_bert_ner.arrays import Array, Bools, Floats, Ints
from spacy_bert_ner.ner.decoded import DecodedBatch
from spacy_bert_ner.ner.promise import LONGEST_ADDED

from .entities import Decoded, judge_batch, number_forms

# Score of a gold entity that the best tags cover, whatever the threshold of what is added.
COVERED = 2.0


@dataclass(frozen=True, eq=False)
class Judgements:
    """Entities that thresholds divide: predicted ones for a precision, gold ones for a recall.

    score (Floats): The highest threshold at which a predicted entity is set, or a gold one covered. (entities,)
    right (Bools): Is the predicted entity right? All True of gold entities. (entities,)
    label (Ints): Index of the label. (entities,)
    document (Ints): Index of the document, the same in both of its forms. (entities,)
    raw (Bools): Is it of the document's second form, raw text? (entities,)
    """

    score: Floats
    right: Bools
    label: Ints
    document: Ints
    raw: Bools

    def take(self, chosen: Array) -> "Judgements":
        """Keep some entities only. chosen (Array): Indices, or a mask."""
        return Judgements(
            self.score[chosen], self.right[chosen], self.label[chosen], self.document[chosen], self.raw[chosen]
        )


def judge_predicted(
    decoded: Iterable[Decoded], temperature: float, offsets: Mapping[str, float], least: float = 0.0
) -> Judgements:
    """Score the entities that a component sets, for promises of precision.

    decoded (Iterable[Decoded]): See entities.decode_examples.
    temperature, offsets: The component's calibration.
    least (float): Its threshold, below which no entity is set.
    RETURNS (Judgements): The entities, without those that touch text which is not annotated.
    """
    found: list[Judgements] = []
    for numbers, examples, batch in _numbered(decoded):
        known, right = judge_batch(examples, batch)
        score = batch.judge(temperature, offsets).posterior
        judged = replace(_judgements(batch.spans.label, score, numbers[batch.doc]), right=right)
        found.append(judged.take(known & (score >= least)))
    return _join(found)


def judge_gold(
    decoded: Iterable[Decoded],
    temperature: float,
    offsets: Mapping[str, float],
    *,
    labels: Collection[str],
    own_label: bool,
    lowest: float,
) -> tuple[Judgements, Judgements]:
    """Score gold entities by what covers them, for promises of recall.

    A gold entity is covered at a threshold if each of its tokens is in an entity of the best tags, of whatever label
    among those given, or in a span of at least that confidence.

    decoded, temperature, offsets: As in `judge_predicted`.
    labels (Collection[str]): The labels that count.
    own_label (bool): Whether only spans of the entity's own label are looked at, as where each label has a threshold of
        its own: others can cover more, never less.
    lowest (float): The lowest threshold.
    RETURNS (tuple[Judgements, Judgements]): The gold entities of these labels, 0 the score of those that nothing
        covers; and the words that are set. COVERED is the score of what the best tags cover.
    """
    gold: list[Judgements] = []
    words: list[Judgements] = []
    for numbers, examples, batch in _numbered(decoded):
        index = {label: i for i, label in enumerate(batch.lattice.labels)}
        floors = np.array([lowest if label in labels else np.inf for label in index])
        batch = batch.extend(floors, LONGEST_ADDED, temperature, offsets)
        score = np.where(batch.is_best, COVERED, batch.judge(temperature, offsets).posterior)
        cover = _cover(batch, np.where(np.isfinite(floors)[batch.spans.label], score, 0.0))
        rows = [
            (index[label], _least(cover[i][:, place], index[label] if own_label else None), i)
            for i, example in enumerate(examples)
            for label, place in _gold_tokens(example)
            if label in labels
        ]
        label_of, scores, owner = np.array(rows, dtype=np.float64).reshape(-1, 3).T
        gold.append(_judgements(label_of.astype(np.int64), scores, numbers[owner.astype(np.int64)]))
        words += [_words(own, number, each_label=own_label) for own, number in zip(cover, numbers, strict=True)]
    return _join(gold), _join(words)


def _least(cover: Floats, label: int | None) -> float:
    """Find the threshold up to which all tokens of an entity are covered, by any label or by its own.

    cover (Floats): That of its tokens. (labels, tokens)
    RETURNS (float): It; whatever its label, what the best tags have covers a token.
    """
    most = cover.max(axis=0)
    return float((most if label is None else np.where(most == COVERED, most, cover[label])).min())


def _words(cover: Floats, number: Ints, *, each_label: bool) -> Judgements:
    """RETURNS (Judgements): The words of a document that are set, once, or once for each label."""
    if not each_label:
        cover = np.where(np.arange(len(cover))[:, None] == cover.argmax(axis=0), cover, 0.0)
    label, token = np.nonzero(cover)
    return _judgements(label, cover[label, token], np.broadcast_to(number, (len(label), 2)))


def _judgements(label: Ints, score: Floats, numbers: Ints) -> Judgements:
    """RETURNS (Judgements): Of entities that need not be right. numbers: see `_numbered`, of each entity's document."""
    right = np.ones(len(label), dtype=bool)
    return Judgements(score, right, label, numbers[:, 0], numbers[:, 1].astype(bool))


def _cover(batch: DecodedBatch, score: Floats) -> list[Floats]:
    """Say at which threshold tokens are covered, by label. RETURNS: (labels, tokens) for each document."""
    sizes = np.bincount(batch.owner, weights=batch.lengths).astype(np.int64)
    cover = [np.zeros((len(batch.lattice.labels), size)) for size in sizes]
    places = (x.tolist() for x in (batch.doc, batch.start, batch.end, batch.spans.label, score))
    for i, start, end, label, own in zip(*places, strict=True):
        np.maximum(cover[i][label, start:end], own, out=cover[i][label, start:end])
    return cover


def _gold_tokens(example: Example) -> Iterator[tuple[str, slice]]:
    """YIELDS (tuple[str, slice]): Label of each gold entity, and the predicted tokens that touch its characters."""
    predicted = example.predicted
    begins = np.array([token.idx for token in predicted])
    ends = begins + np.array([len(token) for token in predicted])
    for ent in example.reference.ents:
        first, last = np.searchsorted(ends, ent.start_char, "right"), np.searchsorted(begins, ent.end_char, "left")
        yield ent.label_, slice(int(first), int(last))


def _numbered(decoded: Iterable[Decoded]) -> Iterator[tuple[Ints, list[Example], DecodedBatch]]:
    """Number the documents. YIELDS: their numbers, and whether each is raw, (examples, 2); the examples; the batch."""
    last = -1
    for examples, batch in decoded:
        numbers, raw = number_forms(examples, last)
        last = int(numbers[-1])
        yield np.stack([numbers, raw], axis=1), examples, batch


def _join(parts: list[Judgements]) -> Judgements:
    return Judgements(*map(np.concatenate, zip(*(vars(part).values() for part in parts), strict=True)))
